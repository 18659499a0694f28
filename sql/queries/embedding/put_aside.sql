-- Put texts aside that the provider refuses. Parts: cdc/store/parts.py.
-- Parameters: id; key_0 ... (one text[] per key column); hashes, reasons: arrays.
insert into cdc.embedding_errors (embedding_id, key, hash, reason)
select %(id)s, {json_key}, g.cdc_hash, g.cdc_reason
  from unnest({arrays}, %(hashes)b::bytea[], %(reasons)s::text[]) as g ({key}, cdc_hash, cdc_reason)
 order by 2
on conflict (embedding_id, key)
do update set hash = excluded.hash, reason = excluded.reason, failed_at = excluded.failed_at
