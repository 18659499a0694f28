-- Call the first runs of a function that stand at a gate back into the queue. A statement of its own, after the gates
-- were locked: what came to stand there while this transaction waited for the lock must be seen.
-- Parameters: arrays names, functions, places. Locks: run rows, skipping locked ones; runs/standing finds those again.
with called as (
    select r.id
      from unnest(%(names)s::text[], %(functions)s::text[], %(places)s::integer[]) as n (gate, function_id, places)
     cross join lateral (select id from cdc_state.runs
                          where held_at = n.gate and function_id = n.function_id
                          order by rank, id limit n.places
                            for no key update skip locked) as r
)
update cdc_state.runs r set held_at = null from called where r.id = called.id
returning r.id
