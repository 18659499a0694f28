-- Follow schedules. Parameters: arrays functions, crons, timezones, next_ats. Locks: the rows it makes; the registry row
-- is locked before.
insert into cdc_state.schedules (function_id, cron, timezone, next_at)
select * from unnest(%(functions)s::text[], %(crons)s::text[], %(timezones)s::text[], %(next_ats)s::timestamptz[])
on conflict (function_id, cron, timezone) do nothing
