-- Remember the hashes of rows. Parameters: arrays tables, keys, hashes, sorted by (table, key).
-- Locks: their rows in this order, behind the checkpoint of the tables' source: one writer for each table.
insert into cdc_state.row_hashes as r (table_id, key, hashes)
select * from unnest(%(tables)s::bigint[], %(keys)s::uuid[], %(hashes)s::json[])
on conflict (table_id, key) do update set hashes = excluded.hashes
