-- Write vectors to a target table: where the text is still the one embedded, and what stands there still the one read.
-- Parameters: key_0 ... (one text[] per key column); hashes, seen (null: nothing stood there), vectors: arrays.
-- Parts: cdc/store/parts.py. Returns how many were written.
-- Locks: with a foreign key the source rows as its check would, else none of them; then target rows. It never waits for
-- a lock on a row that exists: what others hold is left for the next round. New keys go in key order.
with given as (
    select {typed_key}, g.cdc_hash, g.cdc_seen, g.cdc_vector
      from unnest({arrays}, %(hashes)b::bytea[], %(seen)b::bytea[], %(vectors)b::{vector}[])
           as g ({key}, cdc_hash, cdc_seen, cdc_vector)
),
fresh as materialized (
    select given.*
      from given
      join {source} s on ({s_key}) = ({given_key})
     where sha256(convert_to({model} || {text}, 'UTF8')) = given.cdc_hash
     {hold_source}
),
standing as materialized (
    select fresh.*
      from fresh
      join {target} t on ({t_key}) = ({fresh_key})
     where t.hash = fresh.cdc_seen
       for no key update of t skip locked
),
updated as (
    update {target} t
       set embedding = standing.cdc_vector, hash = standing.cdc_hash, updated_at = now()
      from standing
     where ({t_key}) = ({standing_key})
    returning 1
),
inserted as (
    insert into {target} ({key}, embedding, hash, updated_at)
    select {fresh_key}, fresh.cdc_vector, fresh.cdc_hash, now()
      from fresh
     where fresh.cdc_seen is null
     order by {fresh_key}
    on conflict ({key}) do nothing
    returning 1
)
select (select count(*) from updated) + (select count(*) from inserted)
