-- Create a few runs in one round trip. Parameters: arrays ids, functions, and event_ids (array literals).
insert into cdc_state.runs (id, function_id, event_ids)
select n.id, n.function_id, n.event_ids::uuid[]
  from unnest(%(ids)s::uuid[], %(functions)s::text[], %(event_ids)s::text[]) as n (id, function_id, event_ids)
