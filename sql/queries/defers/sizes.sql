-- What these runs have deferred and taken back, with the length of its JSON. Parameters: ids, of runs.
select run_id::text, id, coalesce(length(data::text), 0)
  from cdc_state.steps where run_id = any (%(ids)s::uuid[]) and kind in ('defer', 'abort')
