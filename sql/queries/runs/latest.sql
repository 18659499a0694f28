-- The latest runs, newest first. Parameters: limit.
select id::text, function_id, status, failures, created_at, started_at, ended_at, output, error
  from cdc_state.runs order by id desc limit %(limit)s
