-- One run. Parameters: id.
select id::text, function_id, status, failures, event_ids::text[], created_at, started_at, ended_at, output, error,
       due_at, held_at, deadline, claims, replays::text, invoker::text, invoker_step
  from cdc_state.runs where id = %(id)s
