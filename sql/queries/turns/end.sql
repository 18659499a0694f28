-- End the turns of runs that ended in this transaction; whose turn it was. Parameters: ids.
-- Locks: the run rows. The gates are locked next.
update cdc_state.runs set has_turn = false
 where id = any (%(ids)s::uuid[]) and has_turn and ended_at is not null
returning turn
