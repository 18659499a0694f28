-- How much goes with the schema of the state.
select (select count(*) from cdc_state.runs) as runs,
       (select count(*) from cdc_state.runs where ended_at is null) as unfinished,
       (select count(*) from cdc_state.events) as events
