-- One event as people see it. Parameters: id.
select id::text, name, ts, data, accepted_at, given_id, user_data, v, edited_from::text,
       traceparent from cdc_state.events where id = %(id)s
