-- What one run waits for, and what would cancel it. Parameters: id.
select id, cancels, event, expression, expires_at from cdc_state.waits where run_id = %(id)s order by cancels, id
