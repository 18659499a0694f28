-- The greatest value that was measured in each bin: the number of steps from 1970 to it.
-- Parameters: what, since (seconds since 1970), step (seconds).
select name, floor(extract(epoch from at) / %(step)s)::bigint as bin, max(value)
  from cdc_state.gauges
 where what = %(what)s and at >= to_timestamp(%(since)s)
 group by name, bin
