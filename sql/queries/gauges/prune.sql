-- Delete what was measured so long ago that nobody looks at it. Parameters: limit, and after how many seconds: minutes,
-- hours. Locks: its rows, skipping locked ones.
with old as materialized (
    select width, what, name, at from cdc_state.gauges
     where at < now() - make_interval(secs => least(%(minutes)s, %(hours)s)::float8)
       and at < now() - make_interval(secs => case width when 60 then %(minutes)s else %(hours)s end::float8)
     order by at
     limit %(limit)s
       for update skip locked
)
delete from cdc_state.gauges g
 using old where (g.width, g.what, g.name, g.at) = (old.width, old.what, old.name, old.at)
