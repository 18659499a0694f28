-- The attempts of one run that are kept, of its steps and of its handler (step_id ''), in order. Parameters: id.
select step_id, attempt, started_at, ended_at, error
  from cdc_state.attempts where run_id = %(id)s order by step_id, attempt
