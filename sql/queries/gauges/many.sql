-- The greatest values that were measured in each bin: the number of steps from 1970 to it.
-- Parameters: whats, since (seconds since 1970), step (seconds), width of the rows that are read.
select what, name, (extract(epoch from begun) / %(step)s)::bigint as bin, most
  from (select what, name, date_bin(make_interval(secs => %(step)s), at, 'epoch'::timestamptz) as begun, max(value) as most
          from cdc_state.gauges
         where width = %(width)s and what = any (%(whats)s) and at >= to_timestamp(%(since)s)
         group by what, name, begun) as bins
