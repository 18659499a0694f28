-- A new worker with a lease. Parameters: host, pid, functions, lease (seconds).
insert into cdc_state.workers (host, pid, functions, lease_until)
values (%(host)s, %(pid)s, %(functions)s, now() + make_interval(secs => %(lease)s))
returning id
