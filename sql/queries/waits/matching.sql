-- The waits that events with these values may fulfil. Parameters: arrays events, paths, and "values"; a null path
-- stands for the waits that no field narrows down.
select w.run_id::text, w.id, w.cancels, w.event, w.path, w.value, w.expression, w.context
  from unnest(%(events)s::text[], %(paths)s::text[], %(values)s::text[]) as n (event, path, value)
  join cdc_state.waits w on w.event = n.event and w.path = n.path and w.value = n.value
 where w.expires_at > now()
union all
select w.run_id::text, w.id, w.cancels, w.event, w.path, w.value, w.expression, w.context
  from cdc_state.waits w
 where w.event in (select n.event from unnest(%(events)s::text[], %(paths)s::text[]) as n (event, path)
                    where n.path is null)
   and w.path is null and w.expires_at > now()
