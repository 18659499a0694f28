-- End the unfinished ones of a table. Parameters: source, schema, table.
update cdc_state.backfills
   set status = 'cancelled', ended_at = now()
 where (source, table_schema, table_name) = (%(source)s, %(schema)s, %(table)s) and status in ('requested', 'running')
returning id
