-- The inferences that a worker holds; those of cancelled runs are gone. Parameters: worker_id.
select run_id::text, step_id from cdc_state.inferences where worker_id = %(worker_id)s
