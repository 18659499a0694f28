-- Another app answers at this URL now: the one that had it has none. Parameters: name, url.
-- Locks: the registry row is held.
update cdc_state.apps
   set url = null, checksum = null, error = 'At its URL there is another app now: ' || %(name)s::text
 where url = %(url)s::text and name <> %(name)s::text
returning name
