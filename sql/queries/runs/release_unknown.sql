-- Queue again what this worker holds without knowing it: a claim whose answer was lost with the connection.
-- Parameters: worker_id, known: ids of the runs it has in flight.
update cdc_state.runs
   set status = 'queued', worker_id = null, due_at = now(), rank = now() - make_interval(secs => priority)
 where worker_id = %(worker_id)s and status = 'running' and not id = any (%(known)s::uuid[])
returning id::text
