-- Call the first run that stands at each of these gates back into the queue. Parameters: names: gates that are locked, and
-- where nobody has a place. Locks: run rows, skipping locked ones.
with first as (
    select r.id
      from unnest(%(names)s::text[]) as n (gate)
     cross join lateral (select id from cdc_state.runs where held_at = n.gate order by rank, id limit 1
                            for no key update skip locked) as r
)
update cdc_state.runs r set held_at = null from first where r.id = first.id
returning r.id
