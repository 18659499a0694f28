-- Forget an app. Parameters: name (or its URL). Locks: the registry row is held.
delete from cdc_state.apps where name = %(name)s or url = %(name)s returning coalesce(name, '')
