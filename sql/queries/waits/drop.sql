-- Nothing that has ended waits any more, for events or for models. Parameters: ids, of runs that may have ended.
-- Locks: inferences and waits, after their runs.
with inferences as (
    delete from cdc_state.inferences i using cdc_state.runs r
     where i.run_id = any (%(ids)s::uuid[]) and r.id = i.run_id and r.ended_at is not null
)
delete from cdc_state.waits w using cdc_state.runs r
 where w.run_id = any (%(ids)s::uuid[]) and r.id = w.run_id and r.ended_at is not null
