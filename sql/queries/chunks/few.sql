-- How many rows there are, as long as they are few. Parts: {table}, {most}.
select count(*) from (select from {table} limit {most}) as few
