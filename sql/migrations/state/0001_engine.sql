-- Schema cdc_state: everything the service must remember. Payloads and memos are json, never jsonb: a row may hold
-- \u0000, which jsonb refuses, and json is cheaper to write.

create schema if not exists cdc_state;
comment on schema cdc_state is 'State of the cdc service: events, runs, steps, checkpoints.';

-- An incarnation of a watched database: one server, one timeline, one slot. Positions are comparable only within it.
create table cdc_state.sources (
    id                integer generated always as identity primary key,
    name              text not null,
    system_identifier text not null,
    timeline          integer not null,
    slot              text not null,
    created_at        timestamptz not null default now(),
    retired_at        timestamptz
);
create unique index sources_live on cdc_state.sources (name) where retired_at is null;

-- The last position accepted. It is the truth: the slot's confirmed position only lets Postgres forget WAL.
create table cdc_state.checkpoints (
    source_id  integer primary key references cdc_state.sources,
    epoch      bigint not null default 0,      -- raised by each listener that takes over; older ones are refused
    commit_lsn pg_lsn not null,
    ordinal    bigint not null,                -- -1: nothing of that transaction
    end_lsn    pg_lsn not null,                -- end of the last whole transaction: where streaming starts again
    updated_at timestamptz not null default now()
);

create table cdc_state.events (
    id          uuid primary key,              -- of a row change: made from its position (cdc/events/ids.py)
    source_id   integer,                       -- of cdc_state.sources; no foreign key: a check for every event
    name        text not null,
    ts          timestamptz not null,
    data        json not null,
    accepted_at timestamptz not null default now()
) with (autovacuum_vacuum_insert_scale_factor = 0.05);

-- A change that could not be stored. Set aside loudly with its position, never retried for ever.
create table cdc_state.rejected_events (
    id          uuid primary key,
    source_id   integer references cdc_state.sources,
    name        text not null,
    position    text not null,
    reason      text not null,
    rejected_at timestamptz not null default now()
);

create table cdc_state.functions (
    id          text primary key,
    definition  json not null,
    updated_at  timestamptz not null default now(),
    archived_at timestamptz
);

-- One row: goes up with every change of cdc_state.functions. accept compares it with the copy it matched against.
create table cdc_state.registry (
    only_row boolean primary key default true check (only_row),
    version  bigint not null
);
insert into cdc_state.registry (version) values (0);

-- A live worker process. Its row is the lease that fences all its runs at once: whoever finds the lease run out
-- deletes the row and gives the runs away; claims and journal batches hold the row FOR KEY SHARE, so none of them
-- straddles that moment, and a heartbeat (which changes no key) never waits for them.
create table cdc_state.workers (
    id          integer generated always as identity primary key,
    host        text not null,
    pid         integer not null,
    functions   text[] not null,               -- the ids it can run
    started_at  timestamptz not null default now(),
    lease_until timestamptz not null
);

create table cdc_state.runs (
    id          uuid primary key,              -- uuid v7: newest last
    function_id text not null,
    event_ids   uuid[] not null,
    status      text not null default 'queued'
        check (status in ('queued', 'running', 'sleeping', 'waiting', 'completed', 'failed', 'cancelled')),
    due_at      timestamptz not null default now(),
    claims      integer not null default 0,    -- above 1: it has run before and may have memos
    failures    integer not null default 0,    -- of the handler itself, outside steps
    worker_id   integer,                       -- of a running one
    created_at  timestamptz not null default now(),
    started_at  timestamptz,
    ended_at    timestamptz,
    output      json,
    error       json
) with (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.05, autovacuum_analyze_scale_factor = 0.05);
create index runs_due on cdc_state.runs (due_at, id) where status in ('queued', 'sleeping');
create index runs_of_worker on cdc_state.runs (worker_id) where status = 'running';

create table cdc_state.steps (
    run_id     uuid not null,                  -- no foreign key: its check would lock the run's row for every step
    id         text not null,                  -- the author's id, numbered when repeated: a, a:1, a:2
    kind       text not null check (kind in ('run', 'sleep')),
    attempts   integer not null default 0,
    data       json,
    error      json,                           -- of the last attempt
    wake_at    timestamptz,                    -- of a sleep
    started_at timestamptz not null,
    ended_at   timestamptz,                    -- null: another attempt is due, or it sleeps
    primary key (run_id, id)
) with (autovacuum_vacuum_insert_scale_factor = 0.05);
