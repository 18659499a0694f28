-- Store events that carry what only their senders give. Otherwise as events/copy.
copy cdc_state.events (id, source_id, name, ts, data, given_id, user_data, v) from stdin (format binary)
