-- Nobody has a place or a turn, and nothing was counted; whoever needs a gate makes it again. Parameters: none.
delete from cdc_state.gates
