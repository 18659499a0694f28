-- Due runs that need places at gates, by rank, for a live worker. Those already claimed once need no throttle again.
-- Parameters: worker_id, functions, limit, suspect. Lock order: the worker's row (key share), then run rows, skipping locked
-- ones; gates come next.
with alive as materialized (
    select id from cdc_state.workers where id = %(worker_id)s for key share
)
select r.id::text, r.function_id, r.gates, r.started_at is null
  from cdc_state.runs r
 where r.status in ('queued', 'sleeping', 'waiting') and r.held_at is null
   and r.rank <= now() + interval '600 s' and r.due_at <= now()
   and r.function_id = any (%(functions)s) and r.gates is not null and (r.rescues > 2) = %(suspect)s
   and exists (select from alive)
 order by r.rank, r.id
 limit %(limit)s
   for no key update skip locked
