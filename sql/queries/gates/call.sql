-- Call the first runs that stand at these gates back into the queue. A statement of its own, after the gates are
-- locked: what came to stand there while this transaction waited for the lock must be seen.
-- Parameters: arrays names, places. Locks: run rows, skipping locked ones.
with called as (
    select r.id
      from unnest(%(names)s::text[], %(places)s::integer[]) as n (gate, places)
     cross join lateral (select id from cdc_state.runs
                          where held_at = n.gate order by rank, id limit n.places
                            for no key update skip locked) as r
)
update cdc_state.runs r set held_at = null from called where r.id = called.id
returning r.id
