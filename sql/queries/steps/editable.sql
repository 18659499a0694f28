-- The kind of a step, and whether its input is known. Parameters: run_id, id.
select kind, input is not null from cdc_state.steps where run_id = %(run_id)s and id = %(id)s
