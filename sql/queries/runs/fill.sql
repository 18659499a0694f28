-- Give further events to runs that take them. Parameters: runs: a JSON array of objects {id, event_ids (an array
-- literal), replaces (a debounced run keeps only the last), due_in (seconds; null: as before), full}.
-- Locks: run rows, locked before by runs/filling.
update cdc_state.runs r
   set event_ids = case when n.replaces then n.event_ids::uuid[] else r.event_ids || n.event_ids::uuid[] end,
       due_at = coalesce(now() + make_interval(secs => n.due_in), r.due_at),
       deadline = r.deadline + (coalesce(now() + make_interval(secs => n.due_in), r.due_at) - r.due_at),
       rank = coalesce(now() + make_interval(secs => n.due_in - r.priority), r.rank),
       filling = case when n.full then null else r.filling end
  from json_to_recordset(%(runs)s::json)
       as n (id uuid, event_ids text, replaces boolean, due_in float8, "full" boolean)
 where r.id = n.id
