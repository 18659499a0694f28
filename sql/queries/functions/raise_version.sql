-- Tell everybody that the registry changed. Locks: the registry row, taken first by every registration.
update cdc_state.registry set version = version + 1 returning version
