-- Forget that texts were put aside, once they are gone or others. Parts: cdc/store/parts.py.
-- Parameters: id; key_0 ... (one text[] per key column); refused: hashes of the texts put aside.
-- Locks: cdc.embedding_errors, without waiting for a row.
with outdated as materialized (
    select aside.embedding_id, aside.key
      from unnest({arrays}, %(refused)b::bytea[]) as g ({key}, cdc_hash)
      join cdc.embedding_errors aside
        on (aside.embedding_id, aside.key, aside.hash) = (%(id)s, {json_key}, g.cdc_hash)
       for update of aside skip locked
)
delete from cdc.embedding_errors aside
 using outdated
 where (aside.embedding_id, aside.key) = (outdated.embedding_id, outdated.key)
