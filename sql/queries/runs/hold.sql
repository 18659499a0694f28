-- Candidates without a place stand at a full gate, or become due when a throttle lets them start. Those take no events
-- any more: another event must not move the moment that they were given.
-- Parameters: arrays held and gates, booked and moments (seconds since 1970). The rows are locked already.
update cdc_state.runs r
   set held_at = n.gate,
       due_at = case when n.gate is null then to_timestamp(n.moment) else r.due_at end,
       rank = case when n.gate is null then to_timestamp(n.moment) else r.rank end,
       filling = case when n.gate is null then null else r.filling end
  from (select * from unnest(%(held)s::uuid[], %(gates)s::text[], array[]::float8[]) as h (id, gate, moment)
        union all
        select id, null, moment from unnest(%(booked)s::uuid[], %(moments)s::float8[]) as b (id, moment)) as n
 where r.id = n.id
