-- Publish a table no more. Parameters: {publication}, {table}. Locks: as add_table.
alter publication {publication} drop table only {table}
