-- Seconds until the next tick of any schedule; null when there is none.
select extract(epoch from min(next_at) - clock_timestamp())::float8 from cdc_state.schedules
