-- The functions in force as people see them, by id. Parameters: id (of one; null: all).
select id, app, definition, updated_at, paused_at
  from cdc_state.functions
 where archived_at is null and (%(id)s::text is null or id = %(id)s::text)
 order by id
