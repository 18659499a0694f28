-- The functions of apps in force.
select definition from cdc_state.functions where app is not null and archived_at is null order by id
