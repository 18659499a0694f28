-- Fulfil waits of steps: the event is the step's result, and the run goes on.
-- Parameters: arrays run_ids, ids, data (JSON). Lock order: waits, steps, runs.
-- A run whose handler failed keeps its pause before it is called again.
with n as materialized (
    select * from unnest(%(run_ids)s::uuid[], %(ids)s::text[], %(data)s::json[]) as n (run_id, id, data)
), gone as (
    delete from cdc_state.waits w using n where w.run_id = n.run_id and w.id = n.id and not w.cancels
), answered as (
    update cdc_state.steps s set data = n.data, ended_at = now()
      from n
     where s.run_id = n.run_id and s.id = n.id and s.ended_at is null
    returning s.run_id
)
update cdc_state.runs r
   set woken = (r.status = 'running'), status = case r.status when 'running' then 'running' else 'queued' end,
       due_at = now(), rank = now() - make_interval(secs => r.priority)
  from (select distinct run_id from answered) as a
 where r.id = a.run_id and r.ended_at is null and not (r.status = 'queued' and r.error is not null)
returning r.id::text
