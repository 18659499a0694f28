-- The same for deleting them. Parameters: {table}.
explain delete from {table}
