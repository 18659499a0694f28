-- Cancel every unfinished run, silently: on a copy of a database nobody shall hear of it, no function start on it. Where a
-- worker executes one it finds out by its worker_id. Parameters: error (JSON: why). Locks: all unfinished runs.
update cdc_state.runs
   set status = 'cancelled', ended_at = now(), error = %(error)s, held_at = null, filling = null, has_turn = false,
       placed = false
 where ended_at is null
