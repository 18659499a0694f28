-- Claim due runs without gates for a live worker, by rank. No row comes back when the worker's lease is gone.
-- Parameters: worker_id, functions, limit, suspect. Lock order: the worker's row (key share), then run rows, skipping
-- locked ones. A run is suspect when its worker died twice: the first time all in flight are there by accident,
-- and to take a thousand of them one by one would hold them all up.
with alive as materialized (
    select id from cdc_state.workers where id = %(worker_id)s for key share
), due as materialized (
    select r.id
      from cdc_state.runs r
     where r.status in ('queued', 'sleeping', 'waiting') and r.held_at is null
       and r.rank <= now() + interval '600 s' and r.due_at <= now()
       and r.function_id = any (%(functions)s) and r.gates is null and (r.rescues > 2) = %(suspect)s
       and exists (select from alive)
     order by r.rank, r.id
     limit %(limit)s
       for no key update skip locked
)
update cdc_state.runs r
   set status = 'running', worker_id = %(worker_id)s, claims = r.claims + 1, woken = false, filling = null,
       deadline = case when r.started_at is null then now() + make_interval(secs => r.finish_in) else r.deadline end,
       started_at = coalesce(r.started_at, now())
  from due
 where r.id = due.id
returning r.id::text, r.function_id, r.event_ids::text[], r.claims, r.failures,
          r.turn is not null or r.invoker is not null, r.rescues, date_part('epoch', clock_timestamp()),
          date_part('epoch', case when r.started_at = now() then greatest(r.due_at, r.created_at) else r.started_at end),
          r.started_at = now()
