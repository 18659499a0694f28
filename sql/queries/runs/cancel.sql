-- Cancel these runs where they are unfinished. A worker that executes one finds out by its worker_id.
-- Back come those that were, and the seconds since each started. Parameters: ids, error (JSON: why).
-- Locks: the run rows, by id.
with chosen as materialized (
    select id from cdc_state.runs where id = any (%(ids)s::uuid[]) and ended_at is null order by id for no key update
)
update cdc_state.runs r
   set status = 'cancelled', ended_at = now(), error = %(error)s, held_at = null, filling = null
  from chosen
 where r.id = chosen.id and r.ended_at is null
returning r.id::text, r.function_id, r.event_ids::text[], extract(epoch from now() - r.started_at)::float8
