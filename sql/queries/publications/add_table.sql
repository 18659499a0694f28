-- Publish one more table, from this point of the WAL on: these columns or all, these rows or all. Without ONLY a table
-- would bring those that inherit from it. Parameters: {publication}, {table}, {columns}, {filter}. Locks: the table, in
-- SHARE UPDATE EXCLUSIVE mode, which stops neither readers nor writers.
alter publication {publication} add table only {table}{columns}{filter}
