-- The id of the app at a URL. Parameters: url.
select id from cdc_state.apps where url = %(url)s
