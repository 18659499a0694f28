-- Publish one more table, from this point of the WAL on. Parameters: {publication}, {table}. Locks: the table, briefly.
alter publication {publication} add table {table}
