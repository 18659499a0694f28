-- Schema cdc_state: everything the service must remember. Payloads and memos are json, never jsonb: a row may hold
-- \u0000, which jsonb refuses, and json is cheaper to write.

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
    accepted_at timestamptz not null default now(),
    given_id    text,                          -- by its sender; counts once in 24 hours
    user_data   json,
    v           text,                          -- version of the data's shape
    edited_from uuid,                          -- a copy with other data, for one run that replays another
    traceparent text                           -- of the trace that it belongs to (W3C Trace Context), when it came with one
) with (autovacuum_vacuum_insert_scale_factor = 0.05);
create index events_accepted on cdc_state.events (accepted_at);

-- A change that could not be stored. Set aside loudly with its position, never retried for ever.
create table cdc_state.rejected_events (
    id          uuid primary key,
    source_id   integer references cdc_state.sources,
    name        text not null,
    position    text not null,
    reason      text not null,
    rejected_at timestamptz not null default now()
);
create index rejected_events_rejected on cdc_state.rejected_events (rejected_at);

-- Rows that were there before: read in the order of their key and merged into the stream, chunk by chunk.
create table cdc_state.backfills (
    id            integer generated always as identity primary key,
    source        text not null,               -- name in cdc_state.sources, which it may be older than
    table_schema  text not null,
    table_name    text not null,
    only_function text,                        -- it starts this one alone; null: all that name db/<table>.backfilled
    declaration   integer,                     -- of cdc.embeddings, when it was requested for that by the service
    status        text not null default 'requested'
        check (status in ('requested', 'running', 'done', 'cancelled', 'failed')),
    reason        text,                        -- why it failed, or what it waits for
    last_key      json,                        -- of the last row merged, each column as text; null: none yet
    until_key     json,                        -- of the last row there was when it began
    again         json not null default '[]',  -- keys before last_key that must be read once more
    rows_done     bigint not null default 0,
    rows_expected bigint,                      -- an estimate
    rate          integer check (rate > 0),    -- rows a second at most
    requested_at  timestamptz not null default now(),
    started_at    timestamptz,
    ended_at      timestamptz
);
create unique index backfills_active on cdc_state.backfills (source, table_schema, table_name)
    where status in ('requested', 'running') and declaration is null;
create unique index backfills_declared on cdc_state.backfills (source, declaration) where declaration is not null;

-- Apps elsewhere whose functions are called by Inngest's SDK protocol. One that was named by its URL has no name before
-- its SDK answered; one that connects by itself has no URL.
create table cdc_state.apps (
    id         integer generated always as identity primary key,
    name       text unique,
    url        text unique,
    sdk        text,                           -- such as js:v4.24.0
    framework  text,
    version    text,                           -- the app's own
    checksum   text,                           -- of what it told at its last sync
    created_at timestamptz not null default now(),
    synced_at  timestamptz,
    tried_at   timestamptz,
    error      text                            -- why its last sync failed
);

create table cdc_state.functions (
    id          text primary key,
    app         text,                          -- the name of the app that has it; null: it is executed here
    definition  json not null,
    updated_at  timestamptz not null default now(),
    archived_at timestamptz,
    paused_at   timestamptz
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
    id           uuid primary key,             -- uuid v7: newest last
    function_id  text not null,
    event_ids    uuid[] not null,
    status       text not null default 'queued'
        check (status in ('queued', 'running', 'sleeping', 'waiting', 'completed', 'failed', 'cancelled')),
    due_at       timestamptz not null default now(),
    rank         timestamptz not null default now(),    -- its place among those that are due: due_at less priority
    claims       integer not null default 0,   -- above 1: it has run before and may have memos
    failures     integer not null default 0,   -- of the handler itself, outside steps
    rescues      integer not null default 0,   -- how often its worker died since it last came any further
    worker_id    integer,                      -- of a running one
    woken        boolean not null default false,        -- something it waits for came while it was running
    created_at   timestamptz not null default now(),
    started_at   timestamptz,
    ended_at     timestamptz,
    output       json,
    error        json,
    -- Flow control. All null for a function that has none.
    priority     integer not null default 0,   -- seconds
    gates        text[],                       -- it executes only with a place at each of these (cdc_state.gates)
    placed       boolean not null default false,        -- it has them
    turn         text collate "C",             -- the gate of its order_by key
    has_turn     boolean not null default false,        -- which it keeps to its end
    held_at      text collate "C",             -- the gate where it stands, out of the queue; or 'paused'
    filling      text,                         -- key of a debounced run or a batch that still takes events
    singleton    text,
    deadline     timestamptz,                  -- cancelled when it comes: to start by first, to finish by later
    finish_in    float8,                       -- seconds from start to the second deadline
    invoker      uuid,                         -- the run, and its step, that wait for this one's result
    invoker_step text,
    replays      uuid                          -- the run whose events this one was given again
) with (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.05, autovacuum_analyze_scale_factor = 0.05);
-- Two queues: a claim of the one must not read through the other. With due_at, what sleeps is passed over in the index.
create index runs_due on cdc_state.runs (rank, id, due_at)
    where status in ('queued', 'sleeping', 'waiting') and held_at is null and gates is null;
create index runs_due_gated on cdc_state.runs (rank, id, due_at)
    where status in ('queued', 'sleeping', 'waiting') and held_at is null and gates is not null;
create index runs_of_worker on cdc_state.runs (worker_id) where worker_id is not null;
create index runs_held on cdc_state.runs (held_at, function_id, rank, id) where held_at is not null;
create unique index runs_filling on cdc_state.runs (function_id, filling) where filling is not null;
create index runs_turns on cdc_state.runs (turn) where has_turn;
create index runs_singleton on cdc_state.runs (function_id, singleton) where singleton is not null and ended_at is null;
create index runs_replays on cdc_state.runs (replays) where replays is not null;
create index runs_invoker on cdc_state.runs (invoker) where invoker is not null;
create index runs_failed on cdc_state.runs (id) where status in ('failed', 'cancelled');
create index runs_deadline on cdc_state.runs (deadline) where deadline is not null and ended_at is null;

-- Where flow control counts: one row for each rule and key in use, locked by whoever decides. Names are made in
-- cdc/events/rules.py: 'concurrency/0/<function>/<key>', 'concurrency/env//<key>', 'throttle/...', 'rate/...', 'turn/...'.
create table cdc_state.gates (
    name    text collate "C" primary key,
    taken   integer not null default 0,        -- places taken; of a rate limit, events counted in its period
    free_at timestamptz not null default 'epoch',       -- of a throttle: when the next may start; of a rate limit: its end
    booked_until timestamptz not null default 'epoch'   -- of a throttle: when the next of those that stand there comes
) with (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.05);

create table cdc_state.steps (
    run_id     uuid not null,                  -- no foreign key: its check would lock the run's row for every step
    id         text not null,                  -- the author's id, numbered when repeated: a, a:1, a:2
    kind       text not null check (kind in ('run', 'sleep', 'wait', 'invoke', 'wrap', 'infer', 'fetch', 'defer', 'abort')),
    attempts   integer not null default 0,
    input      json,                           -- null: none, or too long to keep, or CDC_AI_CONTENT=drop
    edited     boolean not null default false, -- the input is not its code's: it was given to a replay
    data       json,
    error      json,                           -- of the last attempt
    wake_at    timestamptz,                    -- end of a sleep, of a wait's timeout, of the pause before a retry
    started_at timestamptz not null,
    ended_at   timestamptz,                    -- null: another attempt is due, or it sleeps or waits
    primary key (run_id, id)
) with (autovacuum_vacuum_insert_scale_factor = 0.05);

-- Attempts that failed, and the one that then succeeded, for those who look at the run: of steps, and of the handler itself
-- (step_id ''). One that does not count is kept under the number of the next, which takes its place if it fails, too.
create table cdc_state.attempts (
    run_id     uuid not null,
    step_id    text not null,
    attempt    integer not null,
    error      json,                           -- null: it succeeded
    started_at timestamptz not null,           -- of the handler: when it was called last in this attempt
    ended_at   timestamptz not null,
    primary key (run_id, step_id, attempt)
);

-- What runs wait for, and what cancels them. Found by the event's name and the value of the first equality in the
-- expression; the expression itself is evaluated on what was found.
create table cdc_state.waits (
    run_id     uuid not null,
    id         text not null,                  -- the step's; of a cancellation, its number
    cancels    boolean not null,
    event      text not null,
    path       text,                           -- such as data.user_id
    value      text,                           -- that the event must have there
    expression text,
    context    json,                           -- what the expression needs to know of the run's own event
    expires_at timestamptz not null,
    primary key (run_id, cancels, id)
);
create index waits_event on cdc_state.waits (event, path, value);
create unique index waits_signal on cdc_state.waits (event) where event like 'cdc/signal.%';

-- When the next tick of each schedule is due.
create table cdc_state.schedules (
    function_id text not null,
    cron        text not null,
    timezone    text not null,
    next_at     timestamptz not null,
    primary key (function_id, cron, timezone)
);

-- What runs told their logger.
create table cdc_state.logs (
    run_id uuid not null,
    number bigint generated always as identity,
    ts     timestamptz not null default now(),
    place  text,                               -- the handler's attempt and the step before it; null in a step's body
    level  text not null,
    line   text not null,
    fields json not null,
    primary key (run_id, number)
);

-- What apps say about runs and their steps beside what these come to, one row an update; they are combined when they are read.
create table cdc_state.metadata (
    run_id  uuid not null,
    number  bigint generated always as identity,
    ts      timestamptz not null default now(),
    step_id text,                              -- as the app named it; null: of the run itself
    kind    text not null,
    op      text not null check (op in ('merge', 'set')),
    fields  json not null,
    primary key (run_id, number)
);

-- Tables whose columns some trigger narrows on. Under a new id nothing is known of the rows: after a TRUNCATE, with another
-- replica identity, when no trigger narrowed on the table meanwhile.
create table cdc_state.narrowed_tables (
    id        bigint generated always as identity primary key,
    source_id integer not null references cdc_state.sources,
    schema    text not null,
    name      text not null,
    identity  text not null,                   -- oid, replica identity and its columns
    unique (source_id, schema, name)
);

-- The last values seen of those columns: whether an update changed them is not in the WAL unless the old row is.
create table cdc_state.row_hashes (
    table_id bigint not null,                  -- of cdc_state.narrowed_tables; of one that is no more: to be deleted
    key      uuid not null,                    -- a hash of the row's replica identity (cdc/events/changed.py)
    hashes   json not null,                    -- by column
    primary key (table_id, key)
) with (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.05);

-- Windows in which changes were lost: from where the checkpoint of an incarnation was to where the next one begins. Open
-- (no end) until it does. Both positions are of the server of their time: after a move to another they do not compare.
create table cdc_state.gaps (
    id        integer generated always as identity primary key,
    source    text not null,
    source_id integer not null references cdc_state.sources,    -- the incarnation that ended
    from_lsn  pg_lsn not null,
    from_at   timestamptz not null,            -- when that checkpoint last moved
    to_lsn    pg_lsn,
    to_at     timestamptz,
    reason    text not null
);
create unique index gaps_open on cdc_state.gaps (source) where to_lsn is null;

-- Calls of models that runs wait for; gone when answered. Any live worker asks, under its lease: worker_id and claims fence
-- as those of runs do.
create table cdc_state.inferences (
    run_id      uuid not null,
    step_id     text not null,
    function_id text not null,
    model       text not null,                 -- with its provider: openai/gpt-4o
    request     json not null,                 -- the body as the provider wants it
    whole       boolean not null,              -- the result is the provider's JSON; else its text
    output      text,                          -- module:class of the pydantic model that the text must fit
    retries     integer not null,
    attempts    integer not null default 0,    -- failed ones that count
    calls       integer not null default 0,    -- all that failed
    timeout     float8 not null,               -- of one call, in seconds
    due_at      timestamptz not null default now(),
    worker_id   integer,                       -- that asks
    claims      integer not null default 0,
    created_at  timestamptz not null default now(),
    primary key (run_id, step_id)
) with (autovacuum_vacuum_scale_factor = 0.05);
create index inferences_due on cdc_state.inferences (due_at) where worker_id is null;
create index inferences_of_worker on cdc_state.inferences (worker_id) where worker_id is not null;

-- Calls of models: those of step.ai, and requests for vectors (without a run). What was said is no part of it.
create table cdc_state.ai_calls (
    id                 bigint generated always as identity primary key,
    ended_at           timestamptz not null default now(),
    run_id             uuid,
    step_id            text,
    attempt            integer,
    function_id        text,                   -- null: vectors, asked for by all runs of a worker together
    operation          text not null,          -- as OpenTelemetry calls it: chat, embeddings
    provider           text not null,
    model              text not null,          -- asked for
    response_model     text,                   -- that answered
    inputs             integer,                -- texts, of embeddings
    input_tokens       bigint,                 -- all of them: cached ones, too
    output_tokens      bigint,                 -- all of them: reasoning, too
    total_tokens       bigint,
    cached_tokens      bigint,
    cache_write_tokens bigint,
    reasoning_tokens   bigint,
    streamed           boolean not null default false,
    latency            float8 not null,        -- seconds
    first_token        float8,                 -- seconds to it, when streamed
    cost               numeric,                -- US dollars; null: the price is unknown
    finish_reason      text,
    error              text                    -- its class
) with (autovacuum_vacuum_insert_scale_factor = 0.05);
create index ai_calls_ended on cdc_state.ai_calls (ended_at);
create index ai_calls_of_run on cdc_state.ai_calls (run_id) where run_id is not null;

-- What happened in a minute, and in an hour. Counted in memory by each process and added every few seconds: pages and
-- metrics never count events or runs. A crash loses the last few seconds of it.
create table cdc_state.tallies (
    width   integer not null check (width in (60, 3600)),    -- seconds: each is counted in its minute and in its hour
    what    text not null check (what in (
        'event', 'started', 'completed', 'failed', 'cancelled', 'retried', 'call', 'call_failed', 'input_tokens',
        'output_tokens', 'cost', 'unpriced', 'function_calls', 'function_tokens', 'function_cost')),
    name    text collate "C" not null,         -- of the event, the function or the model (cdc/tallies.py); '': of all
    at      timestamptz not null,              -- when it began
    count   bigint not null,
    seconds float8 not null default 0,         -- together: that runs waited (started), or took (completed, failed)
    buckets bigint[] not null default '{}',    -- how many took so long (cdc/tallies.py has the bounds)
    primary key (width, what, name, at)
) with (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.05);
create index tallies_at on cdc_state.tallies (at);

-- What was measured once in a minute: lag, queues, slots. Of an hour, the greatest value.
create table cdc_state.gauges (
    width  integer not null check (width in (60, 3600)),    -- seconds
    what   text not null,
    name   text collate "C" not null,          -- of the source, of the state; '' where there is one only
    at     timestamptz not null,
    value  float8 not null,
    primary key (width, what, name, at)
);
create index gauges_at on cdc_state.gauges (at);

-- How far the row events of an incarnation of a source were sent on to a cluster (CDC_FORWARD). Ids of row changes are
-- made from their positions, and checkpoints only move forward: whatever stands before a checkpoint is there to be seen.
create table cdc_state.forwards (
    source_id  integer primary key,            -- of cdc_state.sources; 0: it was switched on
    place      uuid not null,                  -- made as the ids are: all that comes before it is done
    sent       bigint not null default 0,
    refused    bigint not null default 0,      -- the cluster takes them never; the log has their ids
    lost       bigint not null default 0,      -- deleted by age before they were sent
    holder     uuid,                           -- who sends now, and until when nobody else does
    held_until timestamptz,
    updated_at timestamptz not null default now(),
    error      text                            -- why the last request failed; null: it did not
);
