-- Claim candidates that found their places. Parameters: worker_id, ids: locked before by runs/candidates; at: when
-- their gates let them in (seconds since 1970), which is when they start: a throttle counts from there to the next one.
update cdc_state.runs r
   set status = 'running', worker_id = %(worker_id)s, claims = r.claims + 1, woken = false, filling = null,
       placed = true,
       deadline = case when r.started_at is null then let.at + make_interval(secs => r.finish_in) else r.deadline end,
       started_at = coalesce(r.started_at, let.at)
  from (select to_timestamp(%(at)s) as at) let
 where r.id = any (%(ids)s::uuid[])
returning r.id::text, r.function_id, r.event_ids::text[], r.claims, r.failures, true, r.rescues,
          date_part('epoch', clock_timestamp()),
          date_part('epoch',
                    case when r.started_at = let.at then greatest(r.due_at, r.created_at) else r.started_at end),
          r.started_at = let.at
