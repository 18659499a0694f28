-- Accept events of these names, or register waits for them: the one waits for the other to commit, so that no event
-- passes a wait unseen. Names share 256 locks: there may be a thousand names in a batch, and the server's table of
-- locks is not large. Parameters: shared and exclusive: names of events accepted, and of events to wait for.
-- Lock order: before any row; by number, the exclusive ones among the others.
select case when n.exclusively
            then pg_advisory_xact_lock(1127, n.number)
            else pg_advisory_xact_lock_shared(1127, n.number) end
  from (select number, bool_or(exclusively) as exclusively
          from (select hashtext(unnest(%(exclusive)s::text[])) & 255 as number, true as exclusively
                union all
                select hashtext(unnest(%(shared)s::text[])) & 255, false) as asked
         group by number
         order by number) as n
