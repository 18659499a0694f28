-- Create many runs.
copy cdc_state.runs (id, function_id, event_ids) from stdin (format binary)
