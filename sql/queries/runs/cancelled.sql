-- The runs that were cancelled while this worker executed them, told once. Parameters: worker_id.
update cdc_state.runs set worker_id = null
 where worker_id = %(worker_id)s and status = 'cancelled'
returning id::text
