-- The next events that are old enough. Parameters: since and after (the last one seen before, its accepted_at and its id),
-- limit, kept (seconds). Two bounds of accepted_at by itself would seem to be for a two-hundredth of the table.
select accepted_at, id::text
  from cdc_state.events
 where (accepted_at, id) > (%(since)s, %(after)s::uuid)
   and accepted_at < now() - make_interval(secs => %(kept)s)
 order by accepted_at, id
 limit %(limit)s
