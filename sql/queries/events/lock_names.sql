-- Accept events of these names, or register waits for them: the one waits for the other to commit, so that no event
-- passes a wait unseen. Names share 256 locks: there may be a thousand names in a batch, and the server's table of
-- locks is not large. Whoever pauses or resumes a function waits for all that accept (events/lock_all).
-- Parameters: shared and exclusive: names of events accepted, and of events to wait for.
-- Lock order: before any row; the lock of all first, then by number, the exclusive ones among the others.
select case when n.number is null then pg_advisory_xact_lock_shared(1128, 0)
            when n.exclusively then pg_advisory_xact_lock(1127, n.number)
            else pg_advisory_xact_lock_shared(1127, n.number) end
  from (select number, bool_or(exclusively) as exclusively
          from (select null::integer as number, false as exclusively
                union all
                select hashtext(unnest(%(exclusive)s::text[])) & 255, true
                union all
                select hashtext(unnest(%(shared)s::text[])) & 255, false) as asked
         group by number
         order by number is not null, number) as n
