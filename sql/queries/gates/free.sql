-- Give back the places of runs that suspended or ended in this transaction. Comes back: which functions may be called at
-- which gate, and how many runs of each. At a gate that functions share each may have as many: who goes is decided by
-- their rank. A run that was cancelled before it found its place may have been the one that was called, or booked, for
-- all who stand at its gates: another one is called in its stead.
-- Parameters: ids. Lock order: the run rows, then the gates by name.
with gone as materialized (
    select r.function_id, gate, 0 as places
      from cdc_state.runs r cross join unnest(r.gates) as gate
     where r.id = any (%(ids)s::uuid[]) and r.status = 'cancelled' and not r.placed
), freed as (
    update cdc_state.runs set placed = false
     where id = any (%(ids)s::uuid[]) and placed and status <> 'running'
    returning function_id, gates
), counted as materialized (
    select gate, min(function_id) as function_id, sum(places)::integer as places, count(*)::integer as calls
      from (select function_id, gate, 1 as places from freed cross join unnest(freed.gates) as gate
             where gate like 'concurrency/%%'
            union all
            select function_id, gate, places from gone) as each_place
     group by gate
), locked as materialized (
    select name from cdc_state.gates where name in (select gate from counted) order by name for update
), written as (
    update cdc_state.gates g
       set taken = greatest(0, g.taken - counted.places),
           booked_until = case when g.name like 'throttle/%%' then 'epoch' else g.booked_until end
      from counted
     where g.name = counted.gate
       and (select count(*) from locked) > 0  -- all of them: "exists" would lock the first, and leave the order to chance
)
select counted.gate, called.id, counted.calls
  from counted
 cross join lateral (select f.id from cdc_state.functions f
                      where f.archived_at is null
                        and (counted.gate like 'concurrency/env//%%' or counted.gate like 'concurrency/account//%%')
                      union
                     select counted.function_id) as called
