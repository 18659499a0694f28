-- Events were sent on up to this place, or refused for good; no row: somebody else sends them on now.
-- Parameters: source_id, holder, seconds, place, sent, refused. Locks: its row.
update cdc_state.forwards
   set place = %(place)s, sent = sent + %(sent)s, refused = refused + %(refused)s, error = null, updated_at = now(),
       held_until = now() + make_interval(secs => %(seconds)s)
 where source_id = %(source_id)s and holder = %(holder)s
