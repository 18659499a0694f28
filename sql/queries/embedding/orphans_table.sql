-- Keys in a target table, or put aside, whose source row is gone, as text[].
-- Parameters: id, limit. Parts: cdc/store/parts.py. No row locks.
select array[{t_key_text}]
  from {target} t
 where not exists (select from {source} s where ({s_key}) = ({t_key}))
union
select array[{kept_key_text}]
  from cdc.embedding_errors kept
 where kept.embedding_id = %(id)s
   and not exists (select from {source} s where ({s_key}) = ({kept_key}))
 limit %(limit)s
