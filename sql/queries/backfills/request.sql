-- Ask for a backfill, unless one of the table is asked for or under way already: then no row is returned.
-- Parameters: source, schema, table, rate, expected.
insert into cdc_state.backfills (source, table_schema, table_name, rate, rows_expected)
values (%(source)s, %(schema)s, %(table)s, %(rate)s, %(expected)s)
on conflict do nothing
returning id
