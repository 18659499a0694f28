-- The apps that can be asked for their functions; origins with endpoints cannot. `is_asked`: somebody wants that now.
select id, url, name, tried_at is null as is_asked from cdc_state.apps
 where url is not null and right(url, 11) <> '/#endpoints' order by id
