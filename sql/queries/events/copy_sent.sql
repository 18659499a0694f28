-- Store events that carry what only some have, given by their senders. Otherwise as events/copy.
copy cdc_state.events (id, source_id, name, ts, data, given_id, user_data, v, traceparent) from stdin (format binary)
