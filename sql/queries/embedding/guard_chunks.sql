-- Take the turn to write the chunks of rows, until the transaction ends; returns the places of those that got it.
-- Who has it is the only one to write a row's chunks: what a later statement reads of them stands.
-- Parameters: id; key_0 ... (one text[] per key column). Parts: cdc/store/parts.py.
-- Locks: the declaration, as the foreign key's check would; cdc.hashes: what others hold is left for the next round. New
-- keys go in key order.
with declared as materialized (
    select from cdc.embeddings e where e.id = %(id)s for key share
),
given as materialized (
    select {json_key} as cdc_key, g.cdc_place
      from unnest({arrays}) with ordinality as g ({key}, cdc_place)
     where exists (select from declared)
),
held as materialized (
    select h.key
      from given
      join cdc.hashes h on (h.embedding_id, h.key) = (%(id)s, given.cdc_key)
       for update of h skip locked
),
made as (
    insert into cdc.hashes (embedding_id, key, hash)
    select %(id)s, given.cdc_key, ''
      from given
     where not exists (select from cdc.hashes h where (h.embedding_id, h.key) = (%(id)s, given.cdc_key))
     order by given.cdc_key
    on conflict (embedding_id, key) do nothing
    returning key
)
select given.cdc_place
  from given
 where given.cdc_key in (select key from held union all select key from made)
