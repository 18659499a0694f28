-- Where the traces of these runs begin: their first event, the trace that it came with, and the run they replay.
-- Parameters: ids.
select r.id::text, r.event_ids[1]::text, e.traceparent, r.replays::text
  from cdc_state.runs r left join cdc_state.events e on e.id = r.event_ids[1]
 where r.id = any (%(ids)s::uuid[])
