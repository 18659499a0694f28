-- A reader has taken it up. Parameters: id, expected.
update cdc_state.backfills
   set status = 'running', reason = null, started_at = coalesce(started_at, now()), rows_expected = %(expected)s
 where id = %(id)s and status in ('requested', 'running')
