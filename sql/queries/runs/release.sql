-- Give back the runs of workers that are gone or leave; their places are freed next. A cancelled one is just let go.
-- Parameters: worker_ids, suspicion: by how much these runs are suspected of it; 0: the workers left in order.
update cdc_state.runs
   set status = case status when 'running' then 'queued' else status end, worker_id = null,
       due_at = now(), rank = now() - make_interval(secs => priority), rescues = rescues + %(suspicion)s
 where worker_id = any (%(worker_ids)s)
returning id::text
