-- Schedules whose tick has come, and the database's clock. Parameters: limit. Locks: their rows, skipping locked ones:
-- another replica is at those. Before them the event's name is locked, after them what starting a run locks.
select function_id, cron, timezone, next_at, clock_timestamp()
  from cdc_state.schedules
 where next_at <= clock_timestamp()
 order by next_at, function_id
 limit %(limit)s
   for update skip locked
