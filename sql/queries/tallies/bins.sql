-- What was counted of some names, in bins: the number of steps from 1970 to each, and the count.
-- Parameters: width, whats, names, since (seconds since 1970), step (seconds).
select what, name, floor(extract(epoch from at) / %(step)s)::bigint as bin, sum(count)::bigint
  from cdc_state.tallies
 where width = %(width)s and what = any (%(whats)s) and name = any (%(names)s) and at >= to_timestamp(%(since)s)
 group by what, name, bin
