-- What one run told its logger, in order. Parameters: id, limit.
select ts, level, line, fields from cdc_state.logs where run_id = %(id)s order by number limit %(limit)s
