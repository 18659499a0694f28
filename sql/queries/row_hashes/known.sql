-- The tables with these names, and the hashes of their rows with these keys, as text; a null key asks for the table alone.
-- Parameters: source_id, arrays schemas, names, keys. Every row is one probe of the index, however many are stored.
select t.id, t.schema, t.name, t.identity, replace(n.key::text, '-', ''), h.hashes
  from unnest(%(schemas)s::text[], %(names)s::text[], %(keys)s::uuid[]) as n (schema, name, key)
  join cdc_state.narrowed_tables t on t.source_id = %(source_id)s and t.schema = n.schema and t.name = n.name
  left join lateral (select r.hashes::text from cdc_state.row_hashes r
                      where r.table_id = t.id and r.key = n.key limit 1) as h on true
