-- Give back the runs of workers that are gone or leave. Parameters: worker_ids.
update cdc_state.runs
   set status = 'queued', worker_id = null, due_at = now()
 where status = 'running' and worker_id = any (%(worker_ids)s)
