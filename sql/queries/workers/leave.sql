-- End these workers' leases. Parameters: worker_ids. Locks: the worker rows, waiting for batches in flight.
delete from cdc_state.workers where id = any (%(worker_ids)s) returning id
