-- Register waits. Parameters: waits: a JSON array of objects {run_id, id, cancels, event, path, value, expression,
-- context (JSON text), timeout (seconds; null: a hundred years)}.
insert into cdc_state.waits (run_id, id, cancels, event, path, value, expression, context, expires_at)
select n.run_id, n.id, n.cancels, n.event, n.path, n.value, n.expression, n.context::json,
       now() + make_interval(secs => coalesce(n.timeout, 3155760000))
  from json_to_recordset(%(waits)s::json)
       as n (run_id uuid, id text, cancels boolean, event text, path text, value text, expression text, context text,
             timeout float8)
on conflict (run_id, cancels, id) do nothing
