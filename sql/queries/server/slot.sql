-- State of a logical slot; no row: there is none. Older servers know no reason (17) and no failover (17).
-- Parameters: slot.
select plugin, database, active_pid, confirmed_flush_lsn::text, restart_lsn::text, wal_status,
       to_jsonb(s) ->> 'invalidation_reason', coalesce((to_jsonb(s) ->> 'failover')::boolean, false)
  from pg_replication_slots s where slot_name = %(slot)s
