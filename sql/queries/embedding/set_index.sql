-- Say how far the index of a declaration is. Parameters: id, state, reason.
update cdc.embeddings
   set index_state = %(state)s, index_reason = %(reason)s, indexed_at = case when %(state)s = 'ready' then now() end
 where id = %(id)s and (index_state, index_reason) is distinct from (%(state)s, %(reason)s)
