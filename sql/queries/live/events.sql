-- Something that changes when events are accepted: the latest ones. Thousands may be of one moment: their order does not
-- matter. Parameters: none.
select string_agg(e.id::text, ',')
  from (select id from cdc_state.events order by accepted_at desc limit 20) as e
