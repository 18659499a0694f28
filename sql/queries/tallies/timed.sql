-- How long what was counted of one name took, in bins: the number of steps from 1970 to each, and the buckets, added up.
-- Parameters: width, whats, name, since (seconds since 1970), step (seconds).
select what, bin, array_agg(sum order by n)
  from (select what, floor(extract(epoch from at) / %(step)s)::bigint as bin, n, sum(took)::bigint
          from cdc_state.tallies, unnest(buckets) with ordinality as each (took, n)
         where width = %(width)s and what = any (%(whats)s) and name = %(name)s and at >= to_timestamp(%(since)s)
         group by what, bin, n) as sums
 group by what, bin
