-- Forget the schedules that no function in force has any more. Locks: their rows, after the registry row.
delete from cdc_state.schedules s
 where not exists (select from cdc_state.functions f
                    cross join lateral json_array_elements(f.definition -> 'triggers') as t (trigger)
                    where f.id = s.function_id and f.archived_at is null
                      and t.trigger ->> 'cron' = s.cron and t.trigger ->> 'timezone' = s.timezone)
