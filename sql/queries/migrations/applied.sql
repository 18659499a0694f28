-- The migrations applied so far. Parameters: {schema}.
select name, checksum from {schema}.migrations order by name
