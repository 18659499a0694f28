-- What is known of a table, and the hashes (as text) of those of its rows that have these keys: one row for each of them,
-- or one without key and hashes; nothing of a table that is not known. Parameters: source_id, schema, name, array keys.
select t.id, t.identity, replace(h.key::text, '-', ''), h.hashes::text
  from cdc_state.narrowed_tables t
  left join cdc_state.row_hashes h on h.table_id = t.id and h.key = any (%(keys)s::uuid[])
 where t.source_id = %(source_id)s and t.schema = %(schema)s and t.name = %(name)s
