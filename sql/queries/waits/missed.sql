-- Events of these names that were accepted while a wait for them was on its way here. Parameters: names, since (seconds).
select id::text, name, (extract(epoch from ts) * 1000)::bigint, data, given_id, user_data, v,
       extract(epoch from clock_timestamp() - accepted_at)::float8
  from cdc_state.events
 where accepted_at >= clock_timestamp() - make_interval(secs => %(since)s) and name = any (%(names)s)
 order by accepted_at, id
