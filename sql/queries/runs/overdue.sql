-- Unfinished runs whose deadline has passed, and whether they ever started. Parameters: limit. Locks: the run rows,
-- skipping locked ones: who has them moves them on, and the next look finds what is overdue still.
select id::text, started_at is not null
  from cdc_state.runs
 where deadline <= now() and ended_at is null
 order by deadline
 limit %(limit)s
   for no key update skip locked
