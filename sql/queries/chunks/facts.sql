-- What reading a table in the order of its key needs to know; no row: there is no such table.
--
-- Its key is what the stream names rows by: the index of its replica identity, else the primary key, else a unique
-- index without NULLs. Columns and filter are those of the publication: servers before 15 know neither, and those
-- before 18 never publish generated columns. Parameters: publication, schema, table.
select c.oid::int8 as oid,
       c.relreplident::text as replica_identity,
       c.relispartition as is_partition,
       p.pubname is not null as published,
       to_jsonb(p) ->> 'rowfilter' as filter,
       has_table_privilege(c.oid, 'select')
           or not exists (select from pg_attribute a
                           where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
                             and coalesce(to_jsonb(p) -> 'attnames' ? a.attname::text, true)
                             and not has_column_privilege(c.oid, a.attnum, 'select')) as may_read,
       current_user::text as role,
       (select json_agg(json_build_array(a.attname, a.atttypid::int8, a.atttypmod) order by a.attnum)
          from pg_attribute a
         where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
                and coalesce(to_jsonb(p) -> 'attnames' ? a.attname::text, true)
                and (a.attgenerated = ''
                     or current_setting('server_version_num')::integer >= 180000 and to_jsonb(p) ? 'attnames')) as columns,
       (select json_agg(json_build_array(a.attname, tn.nspname, t.typname, cn.nspname, o.collname) order by k.place)
          from (select i.indkey::int2[] as columns, i.indnkeyatts
                  from pg_index i
                      where i.indrelid = c.oid and i.indisunique and i.indimmediate and i.indisvalid
                        and i.indpred is null and i.indexprs is null
                        and not exists (select from pg_attribute a
                                         where a.attrelid = c.oid and not a.attnotnull
                                           and a.attnum = any ((i.indkey::int2[])[0:i.indnkeyatts - 1]))
                      order by (c.relreplident = 'i' and i.indisreplident) desc, i.indisprimary desc, i.indexrelid
                      limit 1) as chosen
               cross join lateral unnest(chosen.columns) with ordinality as k (attnum, place)
               join pg_attribute a on a.attrelid = c.oid and a.attnum = k.attnum
               join pg_type t on t.oid = a.atttypid
               join pg_namespace tn on tn.oid = t.typnamespace
               left join pg_collation o on o.oid = a.attcollation
               left join pg_namespace cn on cn.oid = o.collnamespace
              where k.place <= chosen.indnkeyatts) as key
  from pg_class c
  join pg_namespace n on n.oid = c.relnamespace
  left join pg_publication_tables p
    on (p.pubname, p.schemaname, p.tablename) = (%(publication)s, n.nspname, c.relname)
 where (n.nspname, c.relname) = (%(schema)s, %(table)s) and c.relkind in ('r', 'p')
