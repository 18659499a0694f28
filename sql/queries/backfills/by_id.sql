-- One backfill. Parameters: id.
select id, source, table_schema, table_name, only_function, status, reason, last_key, until_key, again, rows_done,
       rows_expected, rate
  from cdc_state.backfills
 where id = %(id)s
