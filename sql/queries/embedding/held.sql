-- How many rows have vectors in a target, and how many vectors there are. Parts: cdc/store/parts.py.
select count(distinct ({t_key})), count(*) from {target} t where t.{column} is not null
