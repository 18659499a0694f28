-- Have services ask an app for its functions now; its id comes back. Parameters: name (or its URL).
update cdc_state.apps set tried_at = null
 where (name = %(name)s or url = %(name)s) and url is not null and right(url, 11) <> '/#endpoints'
returning id
