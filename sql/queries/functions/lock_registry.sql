-- Registrations take turns. Locks: the registry row.
select version from cdc_state.registry for update
