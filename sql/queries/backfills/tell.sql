-- Say what an unfinished one waits for. Parameters: id, reason.
update cdc_state.backfills
   set reason = %(reason)s
 where id = %(id)s and status in ('requested', 'running') and reason is distinct from %(reason)s
