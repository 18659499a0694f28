-- How many places runs have at these gates, which are locked: who takes or frees a place waits. Parameters: names.
select gate, count(*)::integer
  from cdc_state.workers w
 cross join lateral (select r.gates from cdc_state.runs r where r.worker_id = w.id and r.placed offset 0) as r
 cross join unnest(r.gates) as gate
 where gate = any (%(names)s)
 group by gate
union all
select turn, count(*)::integer
  from cdc_state.runs
 where has_turn and turn = any (%(names)s)
 group by turn
