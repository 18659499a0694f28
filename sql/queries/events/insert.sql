-- Store a few events in one round trip, where COPY takes several. Fails as a whole when one stands already: events/stored.
-- Parameters: source_id, and arrays ids, names, tss (microseconds since 1970), data, given_ids, users, vs, traceparents.
insert into cdc_state.events (id, source_id, name, ts, data, given_id, user_data, v, traceparent)
select n.id, %(source_id)s, n.name, timestamptz 'epoch' + n.ts * interval '1 microsecond', n.data, n.given_id, n.user_data,
       n.v, n.traceparent
  from unnest(%(ids)s::uuid[], %(names)s::text[], %(tss)s::bigint[], %(data)s::json[], %(given_ids)s::text[],
              %(users)s::json[], %(vs)s::text[], %(traceparents)s::text[])
       as n (id, name, ts, data, given_id, user_data, v, traceparent)
