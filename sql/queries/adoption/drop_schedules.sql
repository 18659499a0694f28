-- Schedules begin anew: their ticks that passed are not made up for. Parameters: none.
delete from cdc_state.schedules
