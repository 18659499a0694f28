-- Events that runs need. Parameters: ids.
select id::text, name, (extract(epoch from ts) * 1000)::bigint as ts, data, given_id, user_data, v, traceparent
  from cdc_state.events where id = any (%(ids)s::uuid[])
