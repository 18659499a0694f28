-- The database's clock (seconds since 1970). Parameters: none.
select extract(epoch from clock_timestamp())::float8
