-- Give a row that was known by URL only its name; nothing where the name has a row. One by this URL goes before the one
-- for which the app was asked. Parameters: name, url (or null), known (an id or null). Locks: the registry row is held.
update cdc_state.apps set name = %(name)s
 where id = (select id from cdc_state.apps
              where name is null and (url = %(url)s::text or id = %(known)s::integer)
              order by (url is not distinct from %(url)s::text) desc limit 1)
   and not exists (select from cdc_state.apps where name = %(name)s)
