-- Seconds until the next deadline of an unfinished run; null when there is none.
select extract(epoch from deadline - clock_timestamp())::float8
  from cdc_state.runs
 where deadline is not null and ended_at is null
 order by deadline
 limit 1
