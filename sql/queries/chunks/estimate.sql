-- How many rows the planner expects. Parts: {table}.
explain (format json) select from {table}
