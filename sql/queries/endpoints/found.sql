-- How a run of this function stands: its status, its result or error, and how often it was claimed.
-- Parameters: id, function_id (null: of any).
select status, output, error, claims from cdc_state.runs
 where id = %(id)s and (%(function_id)s::text is null or function_id = %(function_id)s::text)
