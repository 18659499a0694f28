-- Put texts aside that the provider refuses. Parts: cdc/store/parts.py.
-- Parameters: id; key_0 ... (one text[] per key column); hashes, reasons: arrays.
-- Locks: the declaration, as the foreign key's check would; cdc.embedding_errors in key order.
with declared as materialized (
    select from cdc.embeddings e where e.id = %(id)s for key share
)
insert into cdc.embedding_errors (embedding_id, key, hash, reason)
select %(id)s, {json_key}, g.cdc_hash, g.cdc_reason
  from unnest({arrays}, %(hashes)b::bytea[], %(reasons)s::text[]) as g ({key}, cdc_hash, cdc_reason)
 where exists (select from declared)
 order by 2
on conflict (embedding_id, key, ordinal)
do update set hash = excluded.hash, reason = excluded.reason, failed_at = excluded.failed_at
