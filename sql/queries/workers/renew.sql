-- Heartbeat: renew a lease, and tell the clock (seconds since 1970); no row means the lease is gone.
-- Parameters: worker_id, lease (seconds).
update cdc_state.workers set lease_until = now() + make_interval(secs => %(lease)s)
 where id = %(worker_id)s returning extract(epoch from clock_timestamp())::float8
