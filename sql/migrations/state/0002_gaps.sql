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
