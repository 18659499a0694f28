-- The run that waits for this event, if any; of a signal there is one at most. Parameters: event.
select run_id::text from cdc_state.waits
 where event = %(event)s and not cancels and expires_at > now() order by run_id limit 1
