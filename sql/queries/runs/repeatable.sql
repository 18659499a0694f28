-- What these runs were given, to give it to others again. Parameters: ids. Locks: the run rows (key share), by id: they
-- and their events are not pruned meanwhile.
select id::text, function_id, event_ids::text[], ended_at is not null
  from cdc_state.runs where id = any (%(ids)s::uuid[]) order by runs.id for key share
