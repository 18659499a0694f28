-- One function as people see it; none once it is archived. Parameters: id.
select id, definition, updated_at, paused_at from cdc_state.functions where id = %(id)s and archived_at is null
