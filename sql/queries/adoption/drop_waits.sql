-- Nobody waits any more. Parameters: none.
delete from cdc_state.waits
