-- Declarations, each with the primary key of its table and the schema that pgvector is in.
-- Parameters: schema, name: of one table; both null: all declarations. Reads catalogs only, no row locks.
select e.id, e.table_schema, e.table_name, e.columns, e.reads, e.target_kind, e.target_schema, e.target_table,
       e.target_column, e.fk, e.model, e.dimensions, e.problem, e.prepared_at, e.template, e.expression, e.filter,
       e.chunk_tokens, e.chunk_overlap, coalesce(e.vector_type, 'vector') as vector_type, e.metric, e.index_type,
       e.vector_type is null as any_type, e.replaces, e.live_at,
       coalesce(k.key, '[]'::json) as key,
       (select n.nspname::text from pg_extension x join pg_namespace n on n.oid = x.extnamespace
         where x.extname = 'vector') as vector_schema
  from cdc.embeddings e
  left join lateral (
           select json_agg(json_build_array(a.attname, tn.nspname, t.typname) order by o.place) as key
             from pg_namespace n
             join pg_class c on c.relnamespace = n.oid
             join pg_constraint p on p.conrelid = c.oid and p.contype = 'p'
            cross join unnest(p.conkey) with ordinality as o (attnum, place)
             join pg_attribute a on a.attrelid = c.oid and a.attnum = o.attnum
             join pg_type t on t.oid = a.atttypid
             join pg_namespace tn on tn.oid = t.typnamespace
            where (n.nspname, c.relname) = (e.table_schema, e.table_name)) k on true
 where %(schema)s::text is null or (e.table_schema, e.table_name) = (%(schema)s::text, %(name)s::text)
 order by e.id
