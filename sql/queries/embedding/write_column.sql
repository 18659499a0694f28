-- Write vectors to a column of the same table, where the newest version of the row still has the text embedded.
-- Parameters: id; key_0 ... (one text[] per key column); hashes, vectors: arrays. Parts: cdc/store/parts.py.
-- Returns how many were written.
-- Locks: the declaration, as the foreign key's check would; source rows; cdc.hashes. It never waits for a source row, so
-- it cannot deadlock with the transactions of the table's users: what they hold is left for the next round.
with declared as materialized (
    select from cdc.embeddings e where e.id = %(id)s for key share
),
given as (
    select {typed_key}, {json_key} as cdc_key, g.cdc_hash, g.cdc_vector
      from unnest({arrays}, %(hashes)b::bytea[], %(vectors)b::{vector}[]) as g ({key}, cdc_hash, cdc_vector)
     where exists (select from declared)
),
held as materialized (
    select given.*
      from given
      join {source} s on ({s_key}) = ({given_key})
     where sha256(convert_to({model} || {text}, 'UTF8')) = given.cdc_hash
       for no key update of s skip locked
),
written as (
    update {source} s
       set {column} = held.cdc_vector
      from held
     where ({s_key}) = ({held_key})
    returning held.cdc_key, held.cdc_hash
),
remembered as (
    insert into cdc.hashes (embedding_id, key, hash)
    select %(id)s, written.cdc_key, written.cdc_hash from written order by written.cdc_key
    on conflict (embedding_id, key) do update set hash = excluded.hash
)
select count(*) from written
