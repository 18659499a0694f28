-- The first run of each function at each gate where one stands for a place: one probe of the index for each (a loose
-- index scan), however many stand there. Parameters: none. Locks: none.
with recursive found as (
    select first.held_at, first.function_id, bounds.stop
      from (values ('concurrency/', 'concurrency0'), ('throttle/', 'throttle0')) as bounds (start, stop)
     cross join lateral (select r.held_at, r.function_id from cdc_state.runs r
                          where r.held_at >= bounds.start and r.held_at < bounds.stop
                          order by r.held_at, r.function_id limit 1) as first
    union all
    select next.held_at, next.function_id, found.stop
      from found
     cross join lateral (select r.held_at, r.function_id from cdc_state.runs r
                          where (r.held_at, r.function_id) > (found.held_at, found.function_id)
                            and r.held_at < found.stop
                          order by r.held_at, r.function_id limit 1) as next
)
select found.held_at, first.id::text, found.function_id, first.gates, first.started_at is null
  from found
 cross join lateral (select r.id, r.gates, r.started_at from cdc_state.runs r
                      where r.held_at = found.held_at and r.function_id = found.function_id
                      order by r.rank, r.id limit 1) as first
