-- How many runs are unfinished, by status. Each half is read by its partial index: there may be millions of finished ones.
select status, count(*) from cdc_state.runs where status in ('queued', 'sleeping') group by status
union all
select status, count(*) from cdc_state.runs where status = 'running' group by status
