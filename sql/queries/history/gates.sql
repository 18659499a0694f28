-- Look at the next gates and delete those that count nothing: whoever needs one makes it again. What a gate of an event's
-- id, an idempotency key or a rate limit counted is over with its period. Parameters: after (a name), limit. Returns the
-- names looked at. Locks: gates, skipping locked ones.
with seen as materialized (
    select name from cdc_state.gates where name > %(after)s order by name limit %(limit)s
), idle as materialized (
    select g.name
      from cdc_state.gates g
     where g.name = any (array(select name from seen))
       and g.free_at < now() and g.booked_until < now()
       and (g.taken = 0 or g.name like any (array['event/%%', 'once/%%', 'rate/%%']))
       and not exists (select from cdc_state.runs r where r.held_at = g.name)
       for update skip locked
), gone as (
    delete from cdc_state.gates where name = any (array(select name from idle))
)
select name from seen order by name
