-- Let runs of a function that is paused no more go on, first come first. Parameters: function_id, limit.
-- Locks: run rows, in the order of their queue.
with chosen as materialized (
    select id from cdc_state.runs
     where held_at = 'paused' and function_id = %(function_id)s
     order by rank, id limit %(limit)s
       for no key update
)
update cdc_state.runs r set held_at = null from chosen where r.id = chosen.id
returning r.id::text
