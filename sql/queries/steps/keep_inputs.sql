-- Keep what steps were given, once. Parameters: arrays run_ids, ids, inputs (JSON). Locks: the step rows.
update cdc_state.steps s set input = n.input
  from unnest(%(run_ids)s::uuid[], %(ids)s::text[], %(inputs)s::json[]) as n (run_id, id, input)
 where s.run_id = n.run_id and s.id = n.id and s.input is null
