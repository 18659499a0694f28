-- The apps that have a name, as calls of them need them.
select name, url, coalesce(sdk, '') from cdc_state.apps where name is not null order by name
