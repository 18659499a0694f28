-- Give free turns to the first runs that stand there. Parameters: names: gates that are locked and free.
-- Locks: run rows, then the functions' rows (share), so that whoever pauses or resumes one comes before or after.
-- A run of a paused function stands there until the function is resumed, and has the turn.
with heads as materialized (
    select r.id, r.function_id
      from unnest(%(names)s::text[]) as n (gate)
     cross join lateral (select id, function_id from cdc_state.runs
                          where held_at = n.gate order by function_id, rank, id limit 1
                            for no key update) as r
), functions as materialized (
    select id, paused_at from cdc_state.functions where id in (select function_id from heads) order by id for share
)
update cdc_state.runs r
   set has_turn = true,
       held_at = (select 'paused' from functions f where f.id = r.function_id and f.paused_at is not null)
  from heads
 where r.id = heads.id
returning r.turn
