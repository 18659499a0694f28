-- State of a logical slot; no row: there is none. Parameters: slot.
select plugin, database, active_pid, confirmed_flush_lsn::text, restart_lsn::text, wal_status
  from pg_replication_slots where slot_name = %(slot)s
