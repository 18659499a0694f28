-- Give back the inferences of workers that are gone or leave: others ask again. Parameters: worker_ids.
update cdc_state.inferences set worker_id = null, due_at = now() where worker_id = any (%(worker_ids)s)
