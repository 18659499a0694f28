-- Answer the steps that invoked runs which ended in this transaction. Parameters: ids. Lock order: steps, runs.
-- A run whose handler failed keeps its pause before it is called again.
with ended as materialized (
    select id, invoker, invoker_step, status, output, error
      from cdc_state.runs
     where id = any (%(ids)s::uuid[]) and ended_at is not null and invoker is not null
), answered as (
    update cdc_state.steps s
       set data = case r.status when 'completed' then r.output end,
           error = case r.status when 'completed' then null else r.error end, ended_at = now()
      from ended r
     where s.run_id = r.invoker and s.id = r.invoker_step and s.ended_at is null
    returning s.run_id
)
update cdc_state.runs r
   set woken = (r.status = 'running'), status = case r.status when 'running' then 'running' else 'queued' end,
       due_at = now(), rank = now() - make_interval(secs => r.priority)
  from (select distinct run_id from answered) as a
 where r.id = a.run_id and r.ended_at is null and not (r.status = 'queued' and r.error is not null)
returning r.id::text
