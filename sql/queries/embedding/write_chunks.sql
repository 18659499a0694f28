-- Make the stored chunks of rows those of their texts, where the text (or its absence) is still the one that was split.
-- The turn to write them is ours: see guard_chunks. Chunks that stand as they should are not touched.
-- Parameters: id; of rows: key_0 ... (one text[] per key column), hashes (null: no text), counts (of chunks);
-- of the chunks to be written: rows (places of their rows, from 1), ordinals, chunk_hashes, chunks (null: as taken),
-- vectors (null: as taken, or refused), taken (the ordinal where chunk and vector stand now); of all chunks without a
-- vector: aside_rows, aside_ordinals, aside_hashes, reasons. Arrays. Parts: cdc/store/parts.py.
-- Returns how many rows were written. Locks: with a foreign key the source rows as its check would, without waiting for
-- any, else none of them; then target rows, cdc.hashes and cdc.embedding_errors of these rows, where nobody is.
with given as materialized (
    select {typed_key}, {json_key} as cdc_key, g.cdc_hash, g.cdc_count, g.cdc_place
      from unnest({arrays}, %(hashes)b::bytea[], %(counts)b::int[]) with ordinality
           as g ({key}, cdc_hash, cdc_count, cdc_place)
),
living as materialized (
    select given.*
      from given
      join {source} s on ({s_key}) = ({given_key})
     where sha256(convert_to({model} || {text}, 'UTF8')) is not distinct from given.cdc_hash
     {hold_source}
),
fresh as materialized (
    select * from living
     union all
    select given.*
      from given
     where given.cdc_hash is null
       and not exists (select from {source} s where ({s_key}) = ({given_key}))
),
filled as materialized (
    select {fresh_key}, c.ordinal as cdc_ordinal, c.hash as cdc_hash, coalesce(c.chunk, t.chunk) as cdc_chunk,
           coalesce(c.vector, t.embedding) as cdc_vector
      from unnest(%(rows)b::int[], %(ordinals)b::int[], %(chunk_hashes)b::bytea[], %(chunks)b::text[],
                  %(vectors)b::{vector}[], %(taken)b::int[]) as c (place, ordinal, hash, chunk, vector, taken)
      join fresh on fresh.cdc_place = c.place
      left join {target} t on ({t_key}) = ({fresh_key}) and t.ordinal = c.taken
),
written as (
    insert into {target} as t ({key}, ordinal, chunk, embedding, hash, updated_at)
    select {filled_key}, filled.cdc_ordinal, filled.cdc_chunk, filled.cdc_vector, filled.cdc_hash, now()
      from filled
     order by {filled_key}, filled.cdc_ordinal
    on conflict ({key}, ordinal)
    do update set chunk = excluded.chunk, embedding = excluded.embedding, hash = excluded.hash,
                  updated_at = excluded.updated_at
),
removed as (
    delete from {target} t using fresh where ({t_key}) = ({fresh_key}) and t.ordinal >= fresh.cdc_count
),
remembered as (
    update cdc.hashes h
       set hash = fresh.cdc_hash
      from fresh
     where (h.embedding_id, h.key) = (%(id)s, fresh.cdc_key)
       and fresh.cdc_count > 0
       and h.hash <> fresh.cdc_hash
),
forgotten as (
    delete from cdc.hashes h
     using fresh
     where (h.embedding_id, h.key) = (%(id)s, fresh.cdc_key)
       and fresh.cdc_count = 0
),
aside as materialized (
    select fresh.cdc_key, a.ordinal, a.hash, a.reason
      from unnest(%(aside_rows)b::int[], %(aside_ordinals)b::int[], %(aside_hashes)b::bytea[], %(reasons)b::text[])
           as a (place, ordinal, hash, reason)
      join fresh on fresh.cdc_place = a.place
),
put_aside as (
    insert into cdc.embedding_errors as e (embedding_id, key, ordinal, hash, reason)
    select %(id)s, aside.cdc_key, aside.ordinal, aside.hash, aside.reason from aside order by 2, 3
    on conflict (embedding_id, key, ordinal)
    do update set hash = excluded.hash, reason = excluded.reason, failed_at = excluded.failed_at
    where e.hash <> excluded.hash
),
taken_back as (
    delete from cdc.embedding_errors e
     using fresh
     where (e.embedding_id, e.key) = (%(id)s, fresh.cdc_key)
       and not exists (select from aside where (aside.cdc_key, aside.ordinal) = (e.key, e.ordinal))
)
select count(*) from fresh
