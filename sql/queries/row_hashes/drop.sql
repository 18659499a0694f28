-- Forget rows that are gone, or that have another key now. Parameters: arrays tables, keys.
-- Locks: their rows, behind the checkpoint of the tables' source: one writer for each table.
delete from cdc_state.row_hashes r
 using unnest(%(tables)s::bigint[], %(keys)s::uuid[]) as n (table_id, key)
 where r.table_id = n.table_id and r.key = n.key
