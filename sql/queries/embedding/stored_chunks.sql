-- The chunks that are stored for rows: ordinal, hash, whether there is a vector, and why there will be none.
-- (The source is named although nothing of it is read: TRUNCATE ... CASCADE locks it before the target, and so do we.)
-- Parameters: id; key_0 ... (one text[] per key column). Parts: cdc/store/parts.py. No row locks.
with given as (
    select {typed_key}, {json_key} as cdc_key, g.cdc_place
      from unnest({arrays}) with ordinality as g ({key}, cdc_place)
)
select given.cdc_place, t.ordinal, t.hash, t.embedding is not null, aside.reason
  from given
  left join {source} s on ({s_key}) = ({given_key})
  join {target} t on ({t_key}) = ({given_key})
  left join cdc.embedding_errors aside
    on (aside.embedding_id, aside.key, aside.ordinal, aside.hash) = (%(id)s, given.cdc_key, t.ordinal, t.hash)
