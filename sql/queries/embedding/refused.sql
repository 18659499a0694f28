-- Texts put aside, newest first. Parameters: schema and name of one table, target (its own name, or schema.table): null
-- for all; limit. No row locks.
select e.table_schema || '.' || e.table_name as source,
       case e.target_kind when 'column' then e.target_column else e.target_schema || '.' || e.target_table end as target,
       f.key::json as key, case when e.target_kind = 'chunks' then f.ordinal end as ordinal, f.reason, f.failed_at
  from cdc.embedding_errors f
  join cdc.embeddings e on e.id = f.embedding_id
 where (%(schema)s::text is null or (e.table_schema, e.table_name) = (%(schema)s::text, %(name)s::text))
   and (%(target)s::text is null or cdc.embed_called(e, %(target)s::text))
 order by f.failed_at desc
 limit %(limit)s
