-- The latest backfills of a source, newest first. Parameters: source, limit.
select id, source, table_schema, table_name, only_function, status, reason, last_key, until_key, again, rows_done,
       rows_expected, rate
  from cdc_state.backfills
 where source = %(source)s
 order by id desc
 limit %(limit)s
