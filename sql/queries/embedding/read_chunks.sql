-- How rows and their chunks stand; no rows at all: the declaration was forgotten.
-- A row is settled when the text that was split is the present one, its chunks are there (a cascading delete may have
-- taken them), and exactly those without a vector are put aside. Else its text travels.
-- `offset 0` keeps text and hash from being computed twice.
-- Parameters: id; key_0 ... (one text[] per key column). Parts: cdc/store/parts.py. No row locks.
with given as (
    -- Two forms of one key, such as 1.0 and 1.00, are one row.
    select distinct on ({key}) *
      from (select {typed_key}, {json_key} as cdc_key, g.cdc_place
              from unnest({arrays}) with ordinality as g ({key}, cdc_place)) typed
     where exists (select from cdc.embeddings e where e.id = %(id)s)
)
select given.cdc_place, now.cdc_hash, stands.cdc_settled, stands.cdc_stored,
       case when not stands.cdc_settled then now.cdc_text end
  from given
  left join lateral (
           select body.cdc_text, sha256(convert_to({model} || body.cdc_text, 'UTF8')) as cdc_hash
             from (select {text} as cdc_text from {source} s where ({s_key}) = ({given_key}) offset 0) body
           offset 0) now on true
  left join cdc.hashes h on (h.embedding_id, h.key) = (%(id)s, given.cdc_key)
 cross join lateral (
           select count(*) > 0 as cdc_any,
                  array_agg(t.hash order by t.ordinal) filter (where t.embedding is null) as cdc_empty
             from {target} t where ({t_key}) = ({given_key})) there
 cross join lateral (
           select array_agg(aside.hash order by aside.ordinal) as cdc_aside
             from cdc.embedding_errors aside where (aside.embedding_id, aside.key) = (%(id)s, given.cdc_key)) refused
 cross join lateral (
           select h.hash is not distinct from now.cdc_hash and there.cdc_any = (now.cdc_hash is not null)
                  and there.cdc_empty is not distinct from refused.cdc_aside as cdc_settled,
                  h.hash is not null or there.cdc_any or refused.cdc_aside is not null as cdc_stored) stands
