-- The steps of one run as people see them, in order. Parameters: id.
select id, kind, attempts, input, edited, data, error, wake_at, started_at, ended_at
  from cdc_state.steps where run_id = %(id)s order by started_at, id
