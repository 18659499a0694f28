-- The latest events by id, newest first. Parameters: limit.
select id::text, name, ts, data, accepted_at from cdc_state.events order by id desc limit %(limit)s
