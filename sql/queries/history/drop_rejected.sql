-- Delete rejected events that are old enough. Parameters: limit, kept (seconds). Locks: their rows, skipping locked ones.
with old as materialized (
    select id from cdc_state.rejected_events
     where rejected_at < now() - make_interval(secs => %(kept)s)
     order by rejected_at
     limit %(limit)s
       for update skip locked
)
delete from cdc_state.rejected_events where id = any (array(select id from old))
