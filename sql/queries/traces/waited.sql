-- What these runs slept, waited and asked for: begin and end in microseconds since 1970 (no end: not yet), and the name
-- of the error. Parameters: ids.
select run_id::text, id, kind, (extract(epoch from started_at) * 1000000)::bigint,
       (extract(epoch from case when kind = 'sleep' and wake_at <= now() then wake_at else ended_at end) * 1000000)::bigint,
       error ->> 'name'
  from cdc_state.steps
 where run_id = any (%(ids)s::uuid[]) and kind in ('sleep', 'wait', 'invoke', 'infer')
 order by started_at
