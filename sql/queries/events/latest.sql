-- The latest events accepted, newest first. Parameters: name (null: any), limit.
select id::text, name, ts, data, accepted_at, given_id, user_data, v
  from cdc_state.events where %(name)s::text is null or name = %(name)s::text
 order by accepted_at desc, events.id desc limit %(limit)s
