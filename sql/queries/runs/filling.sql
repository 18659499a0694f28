-- The debounced runs and batches that still take events, with the seconds since they began.
-- Parameters: arrays functions, keys. Locks: these run rows, after their gates.
select r.id, r.function_id, r.filling, cardinality(r.event_ids), extract(epoch from now() - r.created_at)::float8
  from cdc_state.runs r
  join unnest(%(functions)s::text[], %(keys)s::text[]) as n (function_id, key)
    on r.function_id = n.function_id and r.filling = n.key
 order by r.id
   for no key update of r
