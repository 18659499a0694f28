-- What was counted in a window, by what and name ('': of all), the most first: count, seconds, and the buckets, added up.
-- Parameters: width, whats, since (seconds since 1970), limit.
with chosen as materialized (
    select what, name, count, seconds, buckets
      from cdc_state.tallies
     where width = %(width)s and what = any (%(whats)s) and at >= to_timestamp(%(since)s)
), timed as (
    select what, name, array_agg(sum order by n) as buckets
      from (select what, name, n, sum(took)::bigint
              from chosen, unnest(buckets) with ordinality as each (took, n)
             group by what, name, n) as sums
     group by what, name
), counted as (
    select what, name, sum(count)::bigint as count, sum(seconds) as seconds from chosen group by what, name
)
select what, name, count, seconds, coalesce(buckets, '{}')
  from counted left join timed using (what, name)
 order by count desc, what, name
 limit %(limit)s
