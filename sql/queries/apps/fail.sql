-- Why an app could not be synced. The row is written when that changed. Parameters: id, error.
update cdc_state.apps set error = %(error)s, tried_at = now()
 where id = %(id)s and (tried_at is null or error is distinct from %(error)s)
