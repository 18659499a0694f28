-- Seconds until the next inference that nobody holds is due; null when there is none.
select extract(epoch from min(due_at) - clock_timestamp())::float8 from cdc_state.inferences where worker_id is null
