-- A run that its app has executed by itself is executed from here from now on, or in so many seconds.
-- Parameters: id, failures (attempts of the handler that failed), due_in. Locks: the run's row, which is held.
update cdc_state.runs
   set status = 'queued', failures = failures + %(failures)s, due_at = now() + make_interval(secs => %(due_in)s),
       rank = now() + make_interval(secs => %(due_in)s)
 where id = %(id)s and status = 'waiting' and claims = 1
