-- Claim due inferences for a live worker, first come first. No row comes back when the worker's lease is gone.
-- Parameters: worker_id, limit. Lock order: the worker's row (key share), then inferences, skipping locked ones.
-- By ctid, which a locked row keeps: joined by its key, Postgres reads the whole table where it does not know the limit.
with alive as materialized (
    select id from cdc_state.workers where id = %(worker_id)s for key share
), due as materialized (
    select i.ctid as place
      from cdc_state.inferences i
     where i.worker_id is null and i.due_at <= now() and exists (select from alive)
     order by i.due_at
     limit %(limit)s
       for no key update skip locked
)
update cdc_state.inferences i
   set worker_id = %(worker_id)s, claims = i.claims + 1
 where i.ctid = any (array(select place from due))
returning i.run_id::text, i.step_id, i.claims, i.function_id, i.model, i.request, i.whole, i.output, i.retries,
          i.attempts, i.calls, i.timeout
