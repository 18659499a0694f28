-- Record steps and move runs, all or nothing, if the worker still has its lease (one row comes back then, else none).
-- A recorded step is never changed. A run is moved only by the worker that holds it, and by the claim it holds it with:
-- a batch that is repeated because its answer was lost must not take the run away from a claim made since.
-- Back comes also which runs were not moved, because they were cancelled meanwhile, how many steps were recorded, and the
-- version of the registry.
-- What a suspended run waits for may have come while it ran (woken): it is due at once, and that comes back. A run whose
-- handler failed has an error, and keeps its pause.
-- Attempts that failed, and those that succeeded after others, are kept with their steps and runs where these were
-- recorded. In a repeated batch an attempt is known by its error; another one is that of an attempt which does not count.
-- Arrays and not one JSON document: reading a document resolves its escapes, and \u0000 in a memo would fail there.
-- Parameters: worker_id, and arrays, one item a step or run: step_run_ids, step_ids, kinds, attempts, data, errors,
-- wake_ats, wake_ins, tooks, endeds, inputs; run_ids, run_claims, statuses, failures, outputs, run_errors, due_ins (in seconds);
-- and of each attempt that is kept: kept_run_ids, kept_step_ids ('': of the handler), kept, kept_errors, kept_tooks.
-- Lock order: the worker's row (key share), then step and run rows, attempts.
with alive as materialized (
    select id from cdc_state.workers where id = %(worker_id)s for key share
), recorded as (
    insert into cdc_state.steps as s (run_id, id, kind, attempts, data, error, wake_at, started_at, ended_at, input)
    select n.run_id, n.id, n.kind, n.attempts, n.data, n.error,
           coalesce(n.wake_at, now() + make_interval(secs => n.wake_in)),
           now() - make_interval(secs => n.took),
           case when n.ended then now() end, n.input
      from unnest(%(step_run_ids)s::uuid[], %(step_ids)s::text[], %(kinds)s::text[], %(attempts)s::integer[],
                  %(data)s::json[], %(errors)s::json[], %(wake_ats)s::timestamptz[], %(wake_ins)s::float8[],
                  %(tooks)s::float8[], %(endeds)s::boolean[], %(inputs)s::json[])
           as n (run_id, id, kind, attempts, data, error, wake_at, wake_in, took, ended, input)
     where exists (select from alive)
    on conflict (run_id, id) do update
       set attempts = excluded.attempts, data = excluded.data, error = excluded.error,
           wake_at = case when s.kind in ('run', 'wrap') then excluded.wake_at else coalesce(s.wake_at, excluded.wake_at) end,
           ended_at = excluded.ended_at, input = coalesce(s.input, excluded.input),
           started_at = case when s.edited and s.attempts = 0 then excluded.started_at else s.started_at end
     where s.ended_at is null
    returning s.run_id, s.id
), moved as (
    update cdc_state.runs r
       set status = case when r.woken and n.due_in is not null and n.error is null then 'queued' else n.status end,
           worker_id = null, rescues = 0, output = n.output, error = n.error, failures = n.failures,
           due_at = case when n.due_in is null then r.due_at
                         when r.woken and n.error is null then now() else now() + make_interval(secs => n.due_in) end,
           rank = case when n.due_in is null then r.rank
                       when r.woken and n.error is null then now() - make_interval(secs => r.priority)
                       else now() + make_interval(secs => n.due_in - r.priority) end,
           ended_at = case when n.status in ('completed', 'failed', 'cancelled') then now() end
      from unnest(%(run_ids)s::uuid[], %(run_claims)s::integer[], %(statuses)s::text[], %(failures)s::integer[],
                  %(outputs)s::json[], %(run_errors)s::json[], %(due_ins)s::float8[])
           as n (id, claims, status, failures, output, error, due_in)
     where r.id = n.id and exists (select from alive)
       -- "is true" keeps the planner off the index of running runs, where it compared every one of them with every item.
       and (r.status = 'running' and r.worker_id = %(worker_id)s and r.claims = n.claims) is true
    returning r.id, r.woken and r.status = 'queued' and r.error is null as woken
), kept as (
    insert into cdc_state.attempts as a (run_id, step_id, attempt, error, started_at, ended_at)
    select n.run_id, n.step_id, n.attempt, n.error, now() - make_interval(secs => n.took), now()
      from unnest(%(kept_run_ids)s::uuid[], %(kept_step_ids)s::text[], %(kept)s::integer[], %(kept_errors)s::json[],
                  %(kept_tooks)s::float8[])
           as n (run_id, step_id, attempt, error, took)
     where (n.run_id, n.step_id) in (select run_id, id from recorded)
        or (n.step_id = '' and n.run_id in (select id from moved))
    on conflict (run_id, step_id, attempt) do update
       set error = excluded.error, started_at = excluded.started_at, ended_at = excluded.ended_at
     where a.error::text <> excluded.error::text
)
select coalesce((select bool_or(woken) from moved), false),
       array(select id::text from unnest(%(run_ids)s::uuid[]) as n (id) where id not in (select id from moved)),
       (select count(*) from recorded),
       (select version from cdc_state.registry)
  from alive
