-- Events of these names that were accepted while a wait for them was on its way here. Parameters: names, since (seconds).
-- A bound that changes while it runs cannot use the index, and one bound alone seems to be for a third of the table.
select id::text, name, (extract(epoch from ts) * 1000)::bigint, data, given_id, user_data, v,
       extract(epoch from clock_timestamp() - accepted_at)::float8
  from cdc_state.events
 where accepted_at between now() - make_interval(secs => %(since)s) and 'infinity' and name = any (%(names)s)
 order by accepted_at, id
