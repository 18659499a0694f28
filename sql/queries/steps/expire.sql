-- Waits of claimed runs whose time is over end without a result: from now on no event fulfils them, and the name of a
-- signal is free again. Parameters: ids, of runs. Lock order: steps, then their waits.
with expired as (
    update cdc_state.steps
       set ended_at = now(),
           error = case kind when 'invoke' then json_build_object(
                       'name', 'InvokeTimeout', 'message', 'the invoked run did not end in time') end
     where run_id = any (%(ids)s::uuid[]) and kind in ('wait', 'invoke') and ended_at is null and wake_at <= now()
    returning run_id, id
)
delete from cdc_state.waits w using expired where w.run_id = expired.run_id and w.id = expired.id and not w.cancels
