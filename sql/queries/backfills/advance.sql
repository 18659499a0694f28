-- A chunk was merged; in the transaction that stores its events. `anew`: it begins again, with an end of its own.
-- Parameters: id, last_key, again, merged, done, anew.
update cdc_state.backfills
   set last_key = %(last_key)s::json, again = %(again)s::json, rows_done = rows_done + %(merged)s, reason = null,
       until_key = case when %(anew)s then null else until_key end,
       status = case when %(done)s and status = 'running' then 'done' else status end,
       ended_at = case when %(done)s and status = 'running' then now() else ended_at end
 where id = %(id)s
