-- How many runs are unfinished, by status; finished ones are not counted, there may be millions.
select status, count(*) from cdc_state.runs where status in ('queued', 'running', 'sleeping', 'waiting') group by status
