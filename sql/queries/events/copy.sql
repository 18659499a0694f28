-- Store many events. The id of a repeat already stands, which fails the whole COPY: see events/stored.
copy cdc_state.events (id, source_id, name, ts, data) from stdin (format binary)
