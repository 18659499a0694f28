-- Register waits where their runs are unfinished and their steps not answered: the journal repeats a commit whose answer
-- was lost. Returned are those that wait for a signal which another step waits for; they are not registered.
-- Parameters: waits: a JSON array of objects {run_id, id, cancels, event, path, value, expression, context (JSON text),
-- timeout (seconds; null: a hundred years)}. Lock order: run rows (share: none of them is cancelled meanwhile), waits.
with n as materialized (
    select n.*
      from json_to_recordset(%(waits)s::json)
           as n (run_id uuid, id text, cancels boolean, event text, path text, value text, expression text,
                 context text, timeout float8)
), alive as materialized (
    select r.id from cdc_state.runs r where r.id in (select run_id from n) and r.ended_at is null order by r.id for share
), open as materialized (
    select n.*
      from n
     where n.run_id in (select id from alive)
       and (n.cancels or exists (select from cdc_state.steps s
                                  where s.run_id = n.run_id and s.id = n.id and s.ended_at is null))
       and not exists (select from cdc_state.waits w
                        where w.run_id = n.run_id and w.cancels = n.cancels and w.id = n.id)
), made as (
    insert into cdc_state.waits (run_id, id, cancels, event, path, value, expression, context, expires_at)
    select run_id, id, cancels, event, path, value, expression, context::json,
           now() + make_interval(secs => coalesce(timeout, 3155760000))
      from open
    on conflict do nothing
    returning run_id, id, cancels
)
select run_id::text, id from open where (run_id, id, cancels) not in (select run_id, id, cancels from made)
