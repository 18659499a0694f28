-- Gates as they are, with the database's clock (seconds since 1970). Parameters: names. Locks: none.
select name, taken, extract(epoch from free_at)::float8, extract(epoch from booked_until)::float8,
       extract(epoch from clock_timestamp())::float8
  from cdc_state.gates where name = any (%(names)s)
