-- What was counted in a window, by what and name ('': of all), the most first: count, seconds, and the 17 buckets of
-- cdc/tallies.py, added up (empty: nothing was timed). Parameters: width, whats, since (seconds since 1970), limit.
select what, name, sum(count)::bigint as count, sum(seconds),
       case when count(buckets[1]) = 0 then '{}'
            else array[sum(buckets[1]), sum(buckets[2]), sum(buckets[3]), sum(buckets[4]), sum(buckets[5]),
                       sum(buckets[6]), sum(buckets[7]), sum(buckets[8]), sum(buckets[9]), sum(buckets[10]),
                       sum(buckets[11]), sum(buckets[12]), sum(buckets[13]), sum(buckets[14]),
                       sum(buckets[15]), sum(buckets[16]), sum(buckets[17])]::bigint[] end
  from cdc_state.tallies
 where width = %(width)s and what = any (%(whats)s) and at >= to_timestamp(%(since)s)
 group by what, name
 order by count desc, what, name
 limit %(limit)s
