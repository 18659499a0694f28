-- Give back the places of runs that suspended or ended in this transaction; how many at each gate.
-- Parameters: ids. Lock order: the run rows, then the gates by name.
with freed as (
    update cdc_state.runs set placed = false
     where id = any (%(ids)s::uuid[]) and placed and status <> 'running'
    returning gates
), counted as materialized (
    select gate, count(*)::integer as places
      from freed cross join unnest(freed.gates) as gate
     where gate like 'concurrency/%%'
     group by gate
), locked as materialized (
    select name from cdc_state.gates where name in (select gate from counted) order by name for update
)
update cdc_state.gates g set taken = greatest(0, g.taken - counted.places)
  from counted
 where g.name = counted.gate and exists (select from locked)
returning g.name, counted.places
