-- Waits of claimed runs whose time is over end without a result: from now on no event fulfils them.
-- Parameters: ids, of runs. Locks: step rows.
update cdc_state.steps
   set ended_at = now(),
       error = case kind when 'invoke' then json_build_object(
                   'name', 'InvokeTimeout', 'message', 'the invoked run did not end in time') end
 where run_id = any (%(ids)s::uuid[]) and kind in ('wait', 'invoke') and ended_at is null and wake_at <= now()
