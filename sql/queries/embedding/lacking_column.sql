-- Keys of rows that have a text and no vector, and are not put aside, as text[].
-- Parameters: id, limit. Parts: cdc/store/parts.py. No row locks.
-- `offset 0`: only what lacks a vector is asked for its text, which may be long.
select array[{s_key_text}]
  from (select s.*
          from {source} s
         where (s.{column} is null
                or not exists (select from cdc.hashes h
                                where (h.embedding_id, h.key) = (%(id)s, json_build_array({s_key_text})::text)))
           and not exists (select from cdc.embedding_errors aside
                            where (aside.embedding_id, aside.key) = (%(id)s, json_build_array({s_key_text})::text))
        offset 0) s
 where {text} is not null
 limit %(limit)s
