-- Give free turns to the first runs that stand there. Parameters: names: gates that are locked and free.
-- Locks: run rows. A run of a paused function stands there until the function is resumed, and has the turn.
with heads as (
    select r.id
      from unnest(%(names)s::text[]) as n (gate)
     cross join lateral (select id from cdc_state.runs where held_at = n.gate order by function_id, rank, id limit 1
                            for no key update) as r
)
update cdc_state.runs r
   set has_turn = true,
       held_at = (select 'paused' from cdc_state.functions f where f.id = r.function_id and f.paused_at is not null)
  from heads
 where r.id = heads.id
returning r.turn
