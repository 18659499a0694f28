-- Empty vectors in a column of the same table, where the text (or its absence) is still the one read.
-- The hashes go in any case: a vector whose hash is lost is a vector of unknown text, and looked at again.
-- Parameters: id; key_0 ... (one text[] per key column); hashes (null: no text), seen: arrays.
-- Parts: cdc/store/parts.py. Returns how many were emptied or forgotten.
-- Locks: source rows, then cdc.hashes, without waiting for any.
with given as (
    select {typed_key}, {json_key} as cdc_key, g.cdc_hash, g.cdc_seen
      from unnest({arrays}, %(hashes)b::bytea[], %(seen)b::bytea[]) as g ({key}, cdc_hash, cdc_seen)
),
held as materialized (
    select given.*
      from given
      join {source} s on ({s_key}) = ({given_key})
     where s.{column} is not null
       and given.cdc_hash is not distinct from sha256(convert_to({model} || {text}, 'UTF8'))
       for no key update of s skip locked
),
emptied as (
    update {source} s set {column} = null from held where ({s_key}) = ({held_key})
    returning 1
),
unknown as materialized (
    select h.embedding_id, h.key
      from given
      join cdc.hashes h on (h.embedding_id, h.key, h.hash) = (%(id)s, given.cdc_key, given.cdc_seen)
       for update of h skip locked
),
forgotten as (
    delete from cdc.hashes h using unknown where (h.embedding_id, h.key) = (unknown.embedding_id, unknown.key)
    returning 1
)
select greatest((select count(*) from emptied), (select count(*) from forgotten))
