-- Record steps of a run that its app still executes by itself, which gives it so many seconds more. What is recorded
-- already stays. Back come whether the app has the run, and the steps that were recorded now; those that have not ended
-- failed, are kept as attempts, and are tried again. Their moments are in the order of the arrays, in which they are replayed.
-- Parameters: id, function_id, lease; and arrays, one item a step: ids, kinds, places (from 0), data, errors, tooks (in
-- seconds), endeds; pause (seconds until another try). Locks: the run's row, then step rows, attempts.
with held as materialized (
    update cdc_state.runs
       set due_at = now() + make_interval(secs => %(lease)s), rank = now() + make_interval(secs => %(lease)s)
     where id = %(id)s and function_id = %(function_id)s
       and status = 'waiting' and claims = 1 and worker_id is null
    returning id
), recorded as (
    insert into cdc_state.steps as s (run_id, id, kind, attempts, data, error, wake_at, started_at, ended_at)
    select held.id, n.id, n.kind, 1, n.data, n.error,
           case when not n.ended then now() + make_interval(secs => %(pause)s) end,
           clock_timestamp() - make_interval(secs => n.took),
           case when n.ended then clock_timestamp() + make_interval(secs => n.place * 1e-6) end
      from held
     cross join unnest(%(ids)s::text[], %(kinds)s::text[], %(places)s::integer[], %(data)s::json[],
                       %(errors)s::json[], %(tooks)s::float8[], %(endeds)s::boolean[])
           as n (id, kind, place, data, error, took, ended)
    on conflict (run_id, id) do nothing
    returning s.id
), kept as (
    insert into cdc_state.attempts (run_id, step_id, attempt, error, started_at, ended_at)
    select held.id, n.id, 1, n.error, now() - make_interval(secs => n.took), now()
      from held
     cross join unnest(%(ids)s::text[], %(errors)s::json[], %(tooks)s::float8[], %(endeds)s::boolean[])
           as n (id, error, took, ended)
     where not n.ended and n.id in (select id from recorded)
    on conflict do nothing
)
select exists (select from held), array(select id from recorded)
