-- Where the traces of these runs begin: their first event and the trace that it came with; the run that they replay, and
-- the same of that one, which may have had another event. Parameters: ids.
select r.id::text, r.event_ids[1]::text, e.traceparent, r.replays::text, o.event_ids[1]::text, oe.traceparent
  from cdc_state.runs r
  left join cdc_state.events e on e.id = r.event_ids[1]
  left join cdc_state.runs o on o.id = r.replays
  left join cdc_state.events oe on oe.id = o.event_ids[1]
 where r.id = any (%(ids)s::uuid[])
