-- The unfinished runs of these singletons. Parameters: arrays functions, keys.
select r.function_id, r.singleton, r.id
  from cdc_state.runs r
  join unnest(%(functions)s::text[], %(keys)s::text[]) as n (function_id, key)
    on r.function_id = n.function_id and r.singleton = n.key
 where r.ended_at is null
