-- The sources, but for this one, whose events and runs are in the same state. Parameters: name.
select distinct name from cdc_state.sources where name <> %(name)s and retired_at is null order by 1
