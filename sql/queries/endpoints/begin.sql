-- A run that its app executes by itself until it ends, is handed over, or is not heard of for so many seconds: then it
-- is due as any other. It counts as claimed once: whoever claims it looks for memos. One row where there was none.
-- Parameters: id, function_id, event_id, lease (seconds).
insert into cdc_state.runs (id, function_id, event_ids, status, due_at, rank, claims, started_at)
values (%(id)s, %(function_id)s, array[%(event_id)s::uuid], 'waiting', now() + make_interval(secs => %(lease)s),
        now() + make_interval(secs => %(lease)s), 1, now())
on conflict (id) do nothing
returning id
