-- End the leases that ran out. Locks: the worker rows, waiting for batches in flight.
delete from cdc_state.workers where lease_until < now() returning id
