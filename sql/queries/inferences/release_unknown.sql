-- Give back what this worker holds without knowing it: a claim whose answer was lost with the connection.
-- Parameters: worker_id, and arrays run_ids and step_ids of those that it knows.
update cdc_state.inferences i set worker_id = null, due_at = now()
 where i.worker_id = %(worker_id)s
   and not exists (select from unnest(%(run_ids)s::uuid[], %(step_ids)s::text[]) as known (run_id, step_id)
                    where known.run_id = i.run_id and known.step_id = i.step_id)
