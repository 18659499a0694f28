-- How many vectors a target has, counted up to a limit. Parameters: limit. Parts: cdc/store/parts.py.
select count(*) from (select from {target} t where t.{column} is not null limit %(limit)s) few
