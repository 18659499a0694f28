-- Mark a place in the WAL for the listener. Parameters: content.
select pg_logical_emit_message(true, 'cdc.backfill', %(content)s)
