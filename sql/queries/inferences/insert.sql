-- Offload calls of models, where their runs are unfinished and their steps not answered: the journal repeats a commit whose
-- answer was lost. Parameters: arrays, one item a call: run_ids, step_ids, function_ids, models, requests (JSON), wholes,
-- outputs, retries, timeouts (seconds). Lock order: run rows (share: none of them is cancelled meanwhile), inferences.
with n as materialized (
    select n.*
      from unnest(%(run_ids)s::uuid[], %(step_ids)s::text[], %(function_ids)s::text[], %(models)s::text[],
                  %(requests)s::json[], %(wholes)s::boolean[], %(outputs)s::text[], %(retries)s::integer[],
                  %(timeouts)s::float8[])
           as n (run_id, step_id, function_id, model, request, whole, output, retries, timeout)
), alive as materialized (
    select r.id from cdc_state.runs r where r.id in (select run_id from n) and r.ended_at is null order by r.id for share
)
insert into cdc_state.inferences (run_id, step_id, function_id, model, request, whole, output, retries, timeout)
select n.run_id, n.step_id, n.function_id, n.model, n.request, n.whole, n.output, n.retries, n.timeout
  from n
 where n.run_id in (select id from alive)
   and exists (select from cdc_state.steps s where s.run_id = n.run_id and s.id = n.step_id and s.ended_at is null)
on conflict do nothing
