-- It cannot go on. Parameters: id, reason.
update cdc_state.backfills
   set status = 'failed', reason = %(reason)s, ended_at = now()
 where id = %(id)s and status in ('requested', 'running')
