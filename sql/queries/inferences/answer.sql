-- What came of calls: a step has its result or its last error and its run goes on, or another attempt is due in due_ins
-- seconds. Only of inferences that the worker holds, and by the claim it holds them with; a cancelled run has none.
-- One row comes back if the worker still has its lease, else none: whether any run goes on.
-- Parameters: worker_id, and arrays, one item a call: run_ids, step_ids, claims, attempts, data and errors (JSON), due_ins, tooks
-- (seconds).
-- Lock order: the worker's row (key share), run rows by id (as whoever cancels them), inferences, steps, attempts.
-- A run whose handler failed keeps its pause before it is called again. Calls that failed, and those that succeeded after
-- others, are kept as attempts, numbered as the calls are.
with alive as materialized (
    select id from cdc_state.workers where id = %(worker_id)s for key share
), n as materialized (
    select n.*
      from unnest(%(run_ids)s::uuid[], %(step_ids)s::text[], %(claims)s::integer[], %(attempts)s::integer[],
                  %(data)s::json[], %(errors)s::json[], %(due_ins)s::float8[], %(tooks)s::float8[])
           as n (run_id, step_id, claims, attempts, data, error, due_in, took)
), unfinished as materialized (
    select r.id
      from cdc_state.runs r
     where r.id in (select run_id from n) and r.ended_at is null and exists (select from alive)
     order by r.id
       for no key update
), mine as materialized (
    select n.*, i.calls
      from cdc_state.inferences i
      join n on n.run_id = i.run_id and n.step_id = i.step_id and n.claims = i.claims
     where i.worker_id = %(worker_id)s and i.run_id in (select id from unfinished)
       for update of i
), later as (
    update cdc_state.inferences i
       set worker_id = null, attempts = mine.attempts, calls = i.calls + 1,
           due_at = now() + make_interval(secs => mine.due_in)
      from mine
     where i.run_id = mine.run_id and i.step_id = mine.step_id and mine.due_in is not null
), gone as (
    delete from cdc_state.inferences i using mine
     where i.run_id = mine.run_id and i.step_id = mine.step_id and mine.due_in is null
), answered as (
    update cdc_state.steps s
       set attempts = mine.attempts, data = mine.data, error = mine.error,
           wake_at = now() + make_interval(secs => mine.due_in), ended_at = case when mine.due_in is null then now() end
      from mine
     where s.run_id = mine.run_id and s.id = mine.step_id and s.ended_at is null
    returning s.run_id, s.ended_at
), kept as (
    insert into cdc_state.attempts (run_id, step_id, attempt, error, started_at, ended_at)
    select run_id, step_id, calls + 1, error, now() - make_interval(secs => took), now()
      from mine
     where error is not null or calls > 0
    on conflict do nothing
), woken as (
    update cdc_state.runs r
       set woken = (r.status = 'running'), status = case r.status when 'running' then 'running' else 'queued' end,
           due_at = now(), rank = now() - make_interval(secs => r.priority)
      from (select distinct run_id from answered where ended_at is not null) as a
     where r.id = a.run_id and r.ended_at is null and not (r.status = 'queued' and r.error is not null)
    returning r.id
)
select exists (select from woken) from alive
