-- Be the one who sends on the events of a source, for some seconds; no row: another is. Returns the place.
-- Parameters: source_id, holder, seconds. Locks: its row.
update cdc_state.forwards
   set holder = %(holder)s, held_until = now() + make_interval(secs => %(seconds)s)
 where source_id = %(source_id)s and (holder is null or holder = %(holder)s or held_until < now())
returning place::text
