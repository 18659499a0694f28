-- The greatest values that were measured in each bin: the number of steps from 1970 to it.
-- Parameters: whats, since (seconds since 1970), step (seconds).
select what, name, floor(extract(epoch from at) / %(step)s)::bigint as bin, max(value)
  from cdc_state.gauges
 where what = any (%(whats)s) and at >= to_timestamp(%(since)s)
 group by what, name, bin
