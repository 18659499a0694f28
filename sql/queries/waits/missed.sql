-- Events of these names that were accepted while a wait for them was on its way here. Parameters: names, since (seconds
-- since 1970).
-- A copy that was edited for one run is nobody else's. One bound alone seems to be for a third of the table.
select id::text, name, (extract(epoch from ts) * 1000)::bigint, data, given_id, user_data, v, traceparent,
       extract(epoch from accepted_at)::float8
  from cdc_state.events
 where accepted_at between to_timestamp(%(since)s) and 'infinity' and name = any (%(names)s) and edited_from is null
 order by accepted_at, id
