-- The functions in force as people see them, by id.
select id, definition, updated_at, paused_at from cdc_state.functions where archived_at is null order by id
