-- Lock gates and read them, with the database's clock (seconds since 1970). Parameters: names.
-- Lock order: the gates by name; 'event/' before 'fill/', 'once/', 'rate/', 'single/', those before run rows, run rows
-- before 'concurrency/' and 'throttle/', and 'turn/' last.
select name, taken, extract(epoch from free_at)::float8, extract(epoch from booked_until)::float8,
       extract(epoch from clock_timestamp())::float8
  from cdc_state.gates where name = any (%(names)s) order by name for update
