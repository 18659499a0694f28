-- All that this version of Postgres tells of a slot, and how many bytes it keeps and lags; no row: there is none.
-- Parameters: slot.
select to_jsonb(s) as slot,
       pg_wal_lsn_diff(pg_current_wal_lsn(), s.restart_lsn)::bigint as retained,
       pg_wal_lsn_diff(pg_current_wal_lsn(), s.confirmed_flush_lsn)::bigint as lag,
       extract(epoch from now() - (to_jsonb(s) ->> 'inactive_since')::timestamptz)::float8 as inactive_for
  from pg_replication_slots s where s.slot_name = %(slot)s
