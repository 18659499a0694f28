-- End steps with an error that no attempt would change, and let their runs go on. Parameters: arrays run_ids, ids, errors.
-- Lock order: steps, runs.
-- A run whose handler failed keeps its pause before it is called again.
with refused as (
    update cdc_state.steps s set error = n.error, ended_at = now()
      from unnest(%(run_ids)s::uuid[], %(ids)s::text[], %(errors)s::json[]) as n (run_id, id, error)
     where s.run_id = n.run_id and s.id = n.id and s.ended_at is null
    returning s.run_id
)
update cdc_state.runs r
   set woken = (r.status = 'running'), status = case r.status when 'running' then 'running' else 'queued' end,
       due_at = now(), rank = now() - make_interval(secs => r.priority)
  from (select distinct run_id from refused) as a
 where r.id = a.run_id and r.ended_at is null and not (r.status = 'queued' and r.error is not null)
returning r.id::text
