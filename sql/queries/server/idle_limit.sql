-- Seconds after which this server invalidates a slot that nobody reads (18); no row: it never does.
select extract(epoch from (setting || ' ' || unit)::interval)::float8
  from pg_settings where name = 'idle_replication_slot_timeout' and setting <> '0'
