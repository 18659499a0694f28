-- Have the server check, without executing it, whether rows of a table can still be updated. Parameters: {table},
-- {column}: any one.
explain update {table} set {column} = default
