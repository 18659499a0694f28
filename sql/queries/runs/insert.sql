-- Create runs with flow control. Parameters: runs: a JSON array of objects with the names below; event_ids is an array
-- literal, ts seconds since 1970 before which it does not start, the others are seconds; start_within counts
-- from when it is due.
insert into cdc_state.runs
    (id, function_id, event_ids, due_at, rank, priority, gates, turn, held_at, filling, singleton, deadline, finish_in,
     invoker, invoker_step, replays)
select n.id, n.function_id, n.event_ids::uuid[], due.at, due.at - make_interval(secs => n.priority), n.priority,
       n.gates, n.turn, n.held_at, n.filling, n.singleton,
       due.at + make_interval(secs => n.start_within), n.finish_in, n.invoker, n.invoker_step, n.replays
  from json_to_recordset(%(runs)s::json)
       as n (id uuid, function_id text, event_ids text, due_in float8, ts float8, priority integer, gates text[],
             turn text, held_at text, filling text, singleton text, start_within float8, finish_in float8,
             invoker uuid, invoker_step text, replays uuid)
 cross join lateral (select greatest(now() + make_interval(secs => n.due_in), to_timestamp(n.ts)) as at) as due
