-- Seconds until the next queued or sleeping run of these functions is due; null when there is none.
-- Parameters: functions.
select extract(epoch from r.due_at - now())::float8
  from cdc_state.runs r
 where r.status in ('queued', 'sleeping') and r.function_id = any (%(functions)s)
 order by r.due_at
 limit 1
