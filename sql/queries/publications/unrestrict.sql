-- Nothing is left out of a table any more. Parameters: schema, table.
delete from cdc.restrictions where (table_schema, table_name) = (%(schema)s, %(table)s)
