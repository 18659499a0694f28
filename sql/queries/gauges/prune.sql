-- Delete what was measured so long ago that nobody looks at it. Parameters: limit, kept (seconds).
-- Locks: its rows, skipping locked ones.
with old as materialized (
    select what, name, at from cdc_state.gauges
     where at < now() - make_interval(secs => %(kept)s)
     order by at
     limit %(limit)s
       for update skip locked
)
delete from cdc_state.gauges g using old where (g.what, g.name, g.at) = (old.what, old.name, old.at)
