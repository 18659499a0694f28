-- The data of the first event that a run was given, unless it is longer than `most` bytes. Parameters: run_id, most.
select case when octet_length(e.data::text) <= %(most)s then e.data end
  from cdc_state.runs r join cdc_state.events e on e.id = r.event_ids[1]
 where r.id = %(run_id)s
