-- How rows and their vectors in a target table stand; no rows at all: the declaration was forgotten.
-- The text travels only where it has to be embedded. `offset 0` keeps text and hash from being computed twice.
-- Parameters: id; key_0 ... (one text[] per key column). Parts: cdc/store/parts.py. No row locks.
with given as (
    select {typed_key}, {json_key} as cdc_key, g.cdc_place
      from unnest({arrays}) with ordinality as g ({key}, cdc_place)
     where exists (select from cdc.embeddings e where e.id = %(id)s)
)
select given.cdc_place, now.cdc_hash, t.hash, aside.hash,
       case when now.cdc_hash is distinct from t.hash and now.cdc_hash is distinct from aside.hash
            then now.cdc_text end
  from given
  left join lateral (
           select body.cdc_text, sha256(convert_to({model} || body.cdc_text, 'UTF8')) as cdc_hash
             from (select {text} as cdc_text from {source} s where ({s_key}) = ({given_key}) offset 0) body
           offset 0) now on true
  left join {target} t on ({t_key}) = ({given_key})
  left join cdc.embedding_errors aside on (aside.embedding_id, aside.key) = (%(id)s, given.cdc_key)
