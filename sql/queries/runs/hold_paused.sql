-- Keep runs of paused functions, created in this transaction, from starting. Parameters: ids.
update cdc_state.runs set held_at = 'paused' where id = any (%(ids)s::uuid[])
