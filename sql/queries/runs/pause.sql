-- Take a page of a paused function's runs that have not started out of the queue, or from the gate where they stand; one
-- in the queue for its turn stays there. Which they were.
-- Parameters: function_id, after (an id: the page before ended there), limit. Locks: the run rows, by id.
with chosen as materialized (
    select id from cdc_state.runs
     where function_id = %(function_id)s and id > %(after)s and status = 'queued' and started_at is null
       and (held_at is null or held_at like any (array['concurrency/%%', 'throttle/%%']))
     order by id limit %(limit)s
       for no key update
)
update cdc_state.runs r set held_at = 'paused'
  from chosen
 where r.id = chosen.id and r.status = 'queued'
    and (r.held_at is null or r.held_at like any (array['concurrency/%%', 'throttle/%%']))
returning r.id::text
