-- The registry's version: whether a cached copy is still good.
select version from cdc_state.registry
