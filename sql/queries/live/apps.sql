-- Something that changes when an app is added, synced or removed, or cannot be synced. Parameters: none.
select (select version from cdc_state.registry),
       (select string_agg(concat_ws(' ', a.id, a.url, a.synced_at, a.error), ',' order by a.id) from cdc_state.apps a)
