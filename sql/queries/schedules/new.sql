-- Schedules of functions in force that are not followed yet, and since when they are there: their first tick is the one
-- after that. Where nothing followed schedules for long, nothing from before the last minute is made up for.
select f.id, t.trigger ->> 'cron', t.trigger ->> 'timezone', greatest(f.updated_at, now() - interval '1 minute')
  from cdc_state.functions f
 cross join lateral json_array_elements(f.definition -> 'triggers') as t (trigger)
 where f.archived_at is null and t.trigger ->> 'cron' is not null
   and not exists (select from cdc_state.schedules s
                    where s.function_id = f.id and s.cron = t.trigger ->> 'cron'
                      and s.timezone = t.trigger ->> 'timezone')
