-- Gates where runs stand although nobody has a place there, or whose count of places is wrong: whoever should have called
-- the next was lost. In one snapshot count and places agree; only who called somebody just now is found in vain.
-- Each gate is one probe of the index (a loose index scan). Parameters: after (a name), limit: gates to look at.
-- Returns the gates looked at, and which of them need help.
with recursive standing as (
    (select held_at as gate from cdc_state.runs where held_at > %(after)s order by held_at limit 1)
    union all
    select (select r.held_at from cdc_state.runs r where r.held_at > standing.gate order by r.held_at limit 1)
      from standing
     where standing.gate is not null
), page as materialized (
    select gate from standing where gate is not null limit %(limit)s
), placed as materialized (
    select gate, count(*)::integer as places
      from cdc_state.workers w
     cross join lateral (select r.gates from cdc_state.runs r where r.worker_id = w.id and r.placed offset 0) as r
     cross join unnest(r.gates) as gate
     group by gate
), counted as (
    select page.gate, (select g.taken from cdc_state.gates g where g.name = page.gate) as taken,
           case when page.gate like 'turn/%%'
                then (select count(*)::integer from cdc_state.runs r where r.turn = page.gate and r.has_turn)
                else coalesce((select placed.places from placed where placed.gate = page.gate), 0) end as places
      from page
)
select gate,
       (gate like 'turn/%%' or gate like 'concurrency/%%') and (places = 0 or taken is distinct from places)
  from counted
 order by gate
