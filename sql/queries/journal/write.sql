-- Record steps and move runs, all or nothing, if the worker still has its lease (one row comes back then, else none).
-- A recorded step is never changed. A run is moved only by the worker that holds it.
-- Parameters: worker_id, steps, runs: JSON arrays. Lock order: the worker's row (key share), then step and run rows.
with alive as materialized (
    select id from cdc_state.workers where id = %(worker_id)s for key share
), recorded as (
    insert into cdc_state.steps as s (run_id, id, kind, attempts, data, error, wake_at, started_at, ended_at)
    select n.run_id, n.id, n.kind, n.attempts, n.data, n.error,
           coalesce(n.wake_at, now() + make_interval(secs => n.wake_in)),
           now() - make_interval(secs => n.took),
           case when n.ended then now() end
      from json_to_recordset(%(steps)s::json) as n (
               run_id uuid, id text, kind text, attempts integer, data json, error json,
               wake_at timestamptz, wake_in float8, took float8, ended boolean)
     where exists (select from alive)
    on conflict (run_id, id) do update
       set attempts = excluded.attempts, data = excluded.data, error = excluded.error,
           wake_at = coalesce(s.wake_at, excluded.wake_at), ended_at = excluded.ended_at
     where s.ended_at is null
), moved as (
    update cdc_state.runs r
       set status = n.status, worker_id = null, output = n.output, error = n.error, failures = n.failures,
           due_at = coalesce(n.due_at, now() + make_interval(secs => n.due_in), r.due_at),
           ended_at = case when n.status in ('completed', 'failed', 'cancelled') then now() end
      from json_to_recordset(%(runs)s::json) as n (
               id uuid, status text, failures integer, output json, error json, due_at timestamptz, due_in float8)
     where r.id = n.id and r.status = 'running' and r.worker_id = %(worker_id)s and exists (select from alive)
)
select id from alive
