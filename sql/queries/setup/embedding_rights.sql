-- What a role may do with the tables of each declared embedding. Parameters: role.
select e.table_schema as schema, e.table_name as "table",
       e.target_kind, e.target_schema, e.target_table, e.target_column, e.fk,
       (select array_agg(a.attname::text) from pg_index i
          join pg_attribute a on a.attrelid = i.indrelid and a.attnum = any ((i.indkey::int2[])[0:i.indnkeyatts - 1])
         where i.indrelid = c.oid and i.indisprimary) as key,
       has_schema_privilege(%(role)s::text, n.oid, 'usage') as may_see,
       has_table_privilege(%(role)s::text, c.oid, 'select') as may_read,
       t.oid is not null as has_table,
       exists (select from pg_attribute a
                where a.attrelid = t.oid and a.attname = e.target_column and not a.attisdropped) as has_column,
       coalesce(has_schema_privilege(%(role)s::text, to_regnamespace(quote_ident(e.target_schema))::oid, 'create'), false)
           as may_make,
       coalesce(case e.target_kind
                    when 'column' then has_any_column_privilege(%(role)s::text, t.oid, 'update')
                    else has_table_privilege(%(role)s::text, t.oid, 'insert')
                end, false) as may_write,
       has_table_privilege(%(role)s::text, c.oid, 'references') as may_refer
  from cdc.embeddings e
  join pg_namespace n on n.nspname = e.table_schema
  join pg_class c on c.relnamespace = n.oid and c.relname = e.table_name
  left join pg_class t on t.oid = to_regclass(format('%%I.%%I', e.target_schema, e.target_table))
 order by e.id
