-- Pause a function, or resume it; a row comes back when that changed anything. Parameters: id, paused.
-- Locks: the function's row, after the registry's.
update cdc_state.functions set paused_at = case when %(paused)s then now() end
 where id = %(id)s and (paused_at is not null) <> %(paused)s
returning id
