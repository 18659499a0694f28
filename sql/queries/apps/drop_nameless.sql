-- Drop rows that were known by URL only and turned out to be an app that has another row. Parameters: url (or null),
-- known (the id of the row for which the app was asked, or null). Locks: the registry row is held.
delete from cdc_state.apps where name is null and (url = %(url)s::text or id = %(known)s::integer)
