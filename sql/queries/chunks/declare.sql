-- The next rows in the order of their key. Parameters: most, until_0, until_1 ... and after_0, after_1 ... of the last row.
-- Parts: {columns}, {table}, {within}, {filter}, {key}.
declare chunk no scroll cursor for
select {columns} from {table} as s where {within} and {filter} order by {key} limit %(most)s
