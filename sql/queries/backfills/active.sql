-- The backfills of a source that are asked for or under way, oldest first. Parameters: source.
select id, source, table_schema, table_name, only_function, status, reason, last_key, until_key, again, rows_done,
       rows_expected, rate
  from cdc_state.backfills
 where source = %(source)s and status in ('requested', 'running')
 order by id
