-- Let others send on the events of a source. Parameters: source_id, holder, error (why it ends; null: all is sent).
-- Locks: its row.
update cdc_state.forwards
   set holder = null, held_until = null, error = %(error)s
 where source_id = %(source_id)s and holder = %(holder)s
