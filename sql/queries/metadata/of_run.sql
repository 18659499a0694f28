-- What apps said about one run and its steps, in order. Parameters: id.
select step_id, kind, op, fields, ts from cdc_state.metadata where run_id = %(id)s order by number
