-- A row where the app that was asked, or one of this name, is still there: not when it was removed meanwhile.
-- Parameters: known (the id of the row for which it was asked), name. Locks: the registry row is held.
select id from cdc_state.apps where id = %(known)s::integer or name = %(name)s limit 1
