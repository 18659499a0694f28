-- Forget that texts were put aside, once they are gone or others. Parts: cdc/store/parts.py.
-- Parameters: id; key_0 ... (one text[] per key column); refused: hashes of the texts put aside.
delete from cdc.embedding_errors aside
 using unnest({arrays}, %(refused)b::bytea[]) as g ({key}, cdc_hash)
 where (aside.embedding_id, aside.key, aside.hash) = (%(id)s, {json_key}, g.cdc_hash)
