-- Which of these workers have not let go of a run that was cancelled so many seconds ago: their event loops stand still.
-- Parameters: worker_ids, seconds.
select distinct worker_id
  from cdc_state.runs
 where worker_id = any (%(worker_ids)s) and status = 'cancelled'
   and ended_at < now() - make_interval(secs => %(seconds)s)
