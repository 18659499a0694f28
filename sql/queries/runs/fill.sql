-- Give further events to runs that take them. A debounced run keeps only the last, and is what that event makes of it;
-- it waits anew unless its time has come already; where it stands is looked at again. Parameters: runs: a JSON array of
-- objects {id, event_ids (an array literal), replaces, due_in (seconds; null: as before), full, and of what replaces:
-- ts, priority, gates, start_within, see runs/insert}. Locks: run rows, locked before by runs/filling.
update cdc_state.runs r
   set event_ids = case when n.replaces then n.event_ids::uuid[] else r.event_ids || n.event_ids::uuid[] end,
       due_at = due.at,
       rank = due.at - make_interval(secs => n.priority),
       priority = n.priority,
       gates = case when n.replaces then n.gates else r.gates end,
       deadline = case when n.replaces then due.at + make_interval(secs => n.start_within)
                       else r.deadline + (due.at - n.due_at) end,
       filling = case when n.full then null else r.filling end,
       held_at = case when n.replaces and r.held_at <> 'paused' then null else r.held_at end
  from (select n.*, old.due_at, old.held_at
          from json_to_recordset(%(runs)s::json)
               as n (id uuid, event_ids text, replaces boolean, due_in float8, "full" boolean, ts float8,
                     priority integer, gates text[], start_within float8)
          join cdc_state.runs old on old.id = n.id) as n
 cross join lateral (
    select case when n.due_in is null or n.replaces and (n.held_at is not null or n.due_at <= now()) then n.due_at
                when n.replaces then greatest(now() + make_interval(secs => n.due_in), to_timestamp(n.ts))
                else least(now() + make_interval(secs => n.due_in), n.due_at) end as at) as due
 where r.id = n.id
