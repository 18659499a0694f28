-- Heartbeat: renew a lease; no row means it is gone. Parameters: worker_id, lease (seconds).
update cdc_state.workers set lease_until = now() + make_interval(secs => %(lease)s)
 where id = %(worker_id)s returning id
