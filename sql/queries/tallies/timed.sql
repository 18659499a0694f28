-- How long what was counted of one name took, in bins: the number of steps from 1970 to each, and the 17 buckets of
-- cdc/tallies.py, added up. Parameters: width, whats, name, since (seconds since 1970), step (seconds).
select what, floor(extract(epoch from at) / %(step)s)::bigint as bin,
       array[sum(buckets[1]), sum(buckets[2]), sum(buckets[3]), sum(buckets[4]), sum(buckets[5]),
             sum(buckets[6]), sum(buckets[7]), sum(buckets[8]), sum(buckets[9]), sum(buckets[10]),
             sum(buckets[11]), sum(buckets[12]), sum(buckets[13]), sum(buckets[14]), sum(buckets[15]),
             sum(buckets[16]), sum(buckets[17])]::bigint[]
  from cdc_state.tallies
 where width = %(width)s and what = any (%(whats)s) and name = %(name)s and at >= to_timestamp(%(since)s)
   and buckets <> '{}'
 group by what, bin
