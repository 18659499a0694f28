-- Add what was counted. Parameters: arrays widths, whats, names, ats (seconds since 1970), counts, seconds, and buckets
-- (array literals); no key twice. Locks: the rows in the order of their key; services add at the same time.
insert into cdc_state.tallies as t (width, what, name, at, count, seconds, buckets)
select n.width, n.what, n.name, to_timestamp(n.at), n.count, n.seconds, n.buckets::bigint[]
  from unnest(%(widths)s::integer[], %(whats)s::text[], %(names)s::text[], %(ats)s::float8[], %(counts)s::bigint[],
              %(seconds)s::float8[], %(buckets)s::text[]) as n (width, what, name, at, count, seconds, buckets)
 order by n.width, n.what collate "C", n.name collate "C", n.at
on conflict (width, what, name, at) do update
   set count = t.count + excluded.count, seconds = t.seconds + excluded.seconds,
       buckets = case when t.buckets = '{}' then excluded.buckets
                      when excluded.buckets = '{}' then t.buckets
                      else array(select coalesce(a, 0) + coalesce(b, 0)
                                   from unnest(t.buckets, excluded.buckets) with ordinality as both_of (a, b, n)
                                  order by n) end
