-- A chunk was merged; in the transaction that stores its events. Parameters: id, last_key, again, merged, done.
update cdc_state.backfills
   set last_key = %(last_key)s::json, again = %(again)s::json, rows_done = rows_done + %(merged)s, reason = null,
       status = case when %(done)s and status = 'running' then 'done' else status end,
       ended_at = case when %(done)s and status = 'running' then now() else ended_at end
 where id = %(id)s
