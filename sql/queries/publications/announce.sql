-- Tell the listener, through the WAL, that functions may have changed.
select pg_logical_emit_message(true, 'cdc', '{"registered": true}')
