-- Delete vectors from a target table: where the text (or its absence) and the vector are still those read.
-- Parameters: key_0 ... (one text[] per key column); hashes (null: no text), seen: arrays. Parts: cdc/store/parts.py.
-- Returns how many were deleted. Locks: target rows, without waiting for any.
-- (The source comes before the target, here and elsewhere: the order in which TRUNCATE ... CASCADE locks the two.)
with given as (
    select {typed_key}, g.cdc_hash, g.cdc_seen
      from unnest({arrays}, %(hashes)b::bytea[], %(seen)b::bytea[]) as g ({key}, cdc_hash, cdc_seen)
),
standing as materialized (
    select given.*
      from given
      left join {source} s on ({s_key}) = ({given_key})
      join {target} t on ({t_key}) = ({given_key})
     where t.hash = given.cdc_seen
       and sha256(convert_to({model} || {text}, 'UTF8')) is not distinct from given.cdc_hash
       for update of t skip locked
),
deleted as (
    delete from {target} t using standing where ({t_key}) = ({standing_key})
    returning 1
)
select count(*) from deleted
