-- Keys in a target table, or put aside, whose source row is gone, as text[].
-- Parameters: id, limit. Parts: cdc/store/parts.py. No row locks.
select array[{t_key_text}]
  from {source} s
 right join {target} t on ({s_key}) = ({t_key})
 where ({s_key}) is null
union
select array[{kept_key_text}]
  from {source} s
 right join cdc.embedding_errors kept on ({s_key}) = ({kept_key})
 where ({s_key}) is null
   and kept.embedding_id = %(id)s
 limit %(limit)s
