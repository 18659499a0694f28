-- Remember what is left out of a table: the columns as they are set and those that are hidden by that, which keep the
-- name they were first left out by, and how the server wrote the condition down. Parameters: publication, schema, table,
-- columns, hidden, filter.
insert into cdc.restrictions as known (table_schema, table_name, columns, relation, hidden, filter, filter_in_force)
select %(schema)s::text, %(table)s::text, %(columns)s::text[], c.oid,
       coalesce((select jsonb_object_agg(a.attnum, coalesce(r.hidden ->> a.attnum::text, a.attname))
                   from pg_attribute a
                   left join cdc.restrictions r
                     on (r.table_schema, r.table_name, r.relation) = (n.nspname, c.relname, c.oid)
                  where a.attrelid = c.oid and a.attname = any (%(hidden)s::text[])), '{}'),
       %(filter)s::text,
       (select to_jsonb(t) ->> 'rowfilter' from pg_publication_tables t
         where (t.pubname, t.schemaname, t.tablename) = (%(publication)s::text, n.nspname, c.relname))
  from pg_class c join pg_namespace n on n.oid = c.relnamespace
 where (n.nspname, c.relname) = (%(schema)s::text, %(table)s::text)
on conflict (table_schema, table_name) do update
   set columns = excluded.columns, relation = excluded.relation, hidden = excluded.hidden, filter = excluded.filter,
       filter_in_force = excluded.filter_in_force
