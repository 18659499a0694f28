-- Forget what would cancel these runs. Parameters: ids.
delete from cdc_state.waits where run_id = any (%(ids)s::uuid[]) and cancels
