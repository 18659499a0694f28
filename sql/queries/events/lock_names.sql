-- Accept events of these names, or register waits for them: the one waits for the other to commit, so that no event
-- passes a wait unseen. Whoever pauses or resumes a function waits for all that accept (events/lock_all).
-- Parameters: shared and exclusive: names of events accepted, and of events to wait for.
-- Lock order: before any row; the lock of all first, then by name, the exclusive ones among the others.
select case when n.name is null then pg_advisory_xact_lock_shared(1128, 0)
            when n.exclusively then pg_advisory_xact_lock(1127, hashtext(n.name))
            else pg_advisory_xact_lock_shared(1127, hashtext(n.name)) end
  from (select name, bool_or(exclusively) as exclusively
          from (select null as name, false as exclusively
                union all
                select unnest(%(exclusive)s::text[]), true
                union all
                select unnest(%(shared)s::text[]), false) as asked
         group by name
         order by name is not null, hashtext(name)) as n
