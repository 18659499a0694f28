-- Record steps that apps tell of while their runs go on: as ended, if the run is held by the worker and the claim under
-- which the app was called. A step that has ended is never changed. Back come the runs that are held so, and what was
-- recorded (the run's and the step's id).
-- The moments at which they ended are in the order of the arrays, for that is the order in which they are replayed.
-- Parameters: arrays, one item a run, each run once: run_ids, worker_ids, run_claims; and one item a step, each step once:
-- step_run_ids, step_ids, kinds, places (from 0 in each run), data, errors, tooks (in seconds).
-- Lock order: workers' rows (key share), by id; runs' rows (share), by id; step rows, by key.
with asked as materialized (
    select * from unnest(%(run_ids)s::uuid[], %(worker_ids)s::integer[], %(run_claims)s::integer[])
           as n (run_id, worker_id, claims)
), alive as materialized (
    select id from cdc_state.workers where id = any (%(worker_ids)s::integer[]) order by id for key share
), held as materialized (
    select r.id from cdc_state.runs r join asked n on n.run_id = r.id
     where (r.status = 'running' and r.worker_id = n.worker_id and r.claims = n.claims) is true
       and exists (select from alive a where a.id = n.worker_id)
     order by r.id for share of r
), locked as materialized (
    select clock_timestamp() as at from (select count(*) from held) as all_of_them
), recorded as (
    insert into cdc_state.steps as s (run_id, id, kind, attempts, data, error, started_at, ended_at)
    select n.run_id, n.id, n.kind, 1, n.data, n.error, locked.at - make_interval(secs => n.took),
           locked.at + make_interval(secs => n.place * 1e-6)
      from locked
     cross join unnest(%(step_run_ids)s::uuid[], %(step_ids)s::text[], %(kinds)s::text[], %(places)s::integer[],
                       %(data)s::json[], %(errors)s::json[], %(tooks)s::float8[])
           as n (run_id, id, kind, place, data, error, took)
     where n.run_id in (select id from held)
     order by n.run_id, n.id collate "C"
    on conflict (run_id, id) do update
       set attempts = s.attempts + 1, data = excluded.data, error = excluded.error, wake_at = null,
           ended_at = excluded.ended_at
     where s.ended_at is null and s.kind = excluded.kind
    returning s.run_id::text as run_id, s.id
)
select array(select id::text from held), array(select run_id from recorded), array(select id from recorded)
