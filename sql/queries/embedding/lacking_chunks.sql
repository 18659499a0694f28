-- Keys of rows that have a text other than blanks and no chunk, or a chunk without a vector, and are not put aside, as
-- text[]. Parameters: id, limit. Parts: cdc/store/parts.py. No row locks.
-- `offset 0`: only what lacks a vector is asked for its text, which may be long.
select array[{s_key_text}]
  from (select s.*
          from {source} s
         where (not exists (select from {target} t where ({t_key}) = ({s_key}) and t.embedding is not null)
                or exists (select from {target} t where ({t_key}) = ({s_key}) and t.embedding is null))
           and not exists (select from cdc.embedding_errors aside
                            where (aside.embedding_id, aside.key) = (%(id)s, json_build_array({s_key_text})::text))
        offset 0) s
 where {text} ~ '\S'
 limit %(limit)s
