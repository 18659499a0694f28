-- Write what was decided at gates locked before. Parameters: arrays names, takens, free_ats, booked (seconds since 1970).
update cdc_state.gates g
   set taken = n.taken, free_at = to_timestamp(n.free_at), booked_until = to_timestamp(n.booked)
  from unnest(%(names)s::text[], %(takens)s::integer[], %(free_ats)s::float8[], %(booked)s::float8[])
       as n (name, taken, free_at, booked)
 where g.name = n.name
