-- How many places runs have at these gates, which are locked: who takes or frees a place waits. Parameters: names.
select gate, count(*)::integer
  from cdc_state.runs r cross join unnest(r.gates) as gate
 where r.worker_id is not null and r.placed and gate = any (%(names)s)
 group by gate
union all
select turn, count(*)::integer
  from cdc_state.runs
 where has_turn and turn = any (%(names)s)
 group by turn
