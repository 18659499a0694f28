-- Move schedules to their next ticks. Parameters: arrays functions, crons, timezones, next_ats. Their rows are locked.
update cdc_state.schedules s set next_at = n.next_at
  from unnest(%(functions)s::text[], %(crons)s::text[], %(timezones)s::text[], %(next_ats)s::timestamptz[])
       as n (function_id, cron, timezone, next_at)
 where s.function_id = n.function_id and s.cron = n.cron and s.timezone = n.timezone
