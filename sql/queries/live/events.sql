-- Something that changes when events are accepted: the latest ones. Parameters: none.
select string_agg(e.id::text, ',')
  from (select id from cdc_state.events order by accepted_at desc, events.id desc limit 20) as e
