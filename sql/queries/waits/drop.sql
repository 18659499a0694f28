-- Nothing that has ended waits any more. Parameters: ids, of runs that may have ended.
delete from cdc_state.waits w using cdc_state.runs r
 where w.run_id = any (%(ids)s::uuid[]) and r.id = w.run_id and r.ended_at is not null
