-- A run that its app has executed by itself has ended; how many seconds it took comes back.
-- Parameters: id, output (JSON). Locks: the run's row, which is held.
update cdc_state.runs set status = 'completed', output = %(output)s::json, ended_at = now()
 where id = %(id)s and status = 'waiting' and claims = 1
returning date_part('epoch', now() - started_at)
