-- Keys with chunks, with a hash, or put aside, whose source row is gone, as text[].
-- Parameters: id, limit. Parts: cdc/store/parts.py. No row locks.
select array[{t_key_text}]
  from {source} s
 right join {target} t on ({s_key}) = ({t_key})
 where ({s_key}) is null
union
select array[{kept_key_text}]
  from (select h.key from cdc.hashes h where h.embedding_id = %(id)s
        union
        select e.key from cdc.embedding_errors e where e.embedding_id = %(id)s) kept
 where not exists (select from {source} s where ({s_key}) = ({kept_key}))
 limit %(limit)s
