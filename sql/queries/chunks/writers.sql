-- The transactions that have changed a table or one of its partitions and have not ended, or that may: they hold the
-- lock for it until others see what they did. Parameters: oid.
select l.virtualtransaction, l.pid
  from pg_locks l
 where l.locktype = 'relation' and l.granted and l.mode in ('RowExclusiveLock', 'AccessExclusiveLock')
   and l.database = (select d.oid from pg_database d where d.datname = current_database())
   and l.relation in (select %(oid)s::int8::oid union all select relid from pg_partition_tree(%(oid)s::int8::oid))
