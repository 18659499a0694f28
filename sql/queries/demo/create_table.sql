-- The demo's table, as a user would write it.
create table documents (
    id         bigint generated always as identity primary key,
    title      text not null,
    content    text not null,
    created_at timestamptz not null default now()
)
