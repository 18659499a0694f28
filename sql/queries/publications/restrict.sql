-- Remember what is left out of a table, and how the server wrote the condition down. Parameters: publication, schema,
-- table, columns, filter.
insert into cdc.restrictions (table_schema, table_name, columns, filter, filter_in_force)
select %(schema)s::text, %(table)s::text, %(columns)s::text[], %(filter)s::text,
       (select to_jsonb(t) ->> 'rowfilter' from pg_publication_tables t
         where (t.pubname, t.schemaname, t.tablename)
                = (%(publication)s::text, %(schema)s::text, %(table)s::text))
on conflict (table_schema, table_name) do update
   set columns = excluded.columns, filter = excluded.filter, filter_in_force = excluded.filter_in_force
