-- How far the indexes are that are being made now: schema and name of the table, phase, rows done and in all (0: unknown),
-- blocks done and in all. Without parameters.
select n.nspname::text as schema, t.relname::text as table, p.phase, p.tuples_done, p.tuples_total, p.blocks_done,
       p.blocks_total
  from pg_stat_progress_create_index p
  join pg_class t on t.oid = p.relid
  join pg_namespace n on n.oid = t.relnamespace
 where p.datname = current_database()
