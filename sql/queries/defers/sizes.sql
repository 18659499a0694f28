-- What a run has deferred and taken back, with the length of its JSON. Parameters: id, of the run.
select id, coalesce(length(data::text), 0)
  from cdc_state.steps where run_id = %(id)s and kind in ('defer', 'abort')
