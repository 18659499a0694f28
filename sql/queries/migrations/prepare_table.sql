-- Make the table that remembers which migrations were applied. Parameters: {schema}.
create table if not exists {schema}.migrations (
    name       text primary key,
    checksum   text not null,
    applied_at timestamptz not null default now()
)
