-- The same of unfinished runs, wherever they are among those that ended: through the indexes of what is due, stands or
-- runs. `whole`: all of them were looked at; else there are more than `looks` in one of these places, and none is told.
-- Parameters, as of runs/page: functions, statuses, since, until, first, before, looks, limit.
with standing as materialized (
    (select id, function_id, status, created_at, 1 as part from cdc_state.runs
      where status in ('queued', 'sleeping', 'waiting') and held_at is null and gates is null
      order by rank, runs.id limit %(looks)s)
    union all
    (select id, function_id, status, created_at, 2 from cdc_state.runs
      where status in ('queued', 'sleeping', 'waiting') and held_at is null and gates is not null
      order by rank, runs.id limit %(looks)s)
    union all
    (select id, function_id, status, created_at, 3 from cdc_state.runs
      where held_at between 'a' and 'z' order by held_at, function_id, rank, runs.id limit %(looks)s)
    union all
    (select id, function_id, status, created_at, 4 from cdc_state.runs
      where worker_id between 0 and 2147483647 order by worker_id limit %(looks)s)
), told as (
    select coalesce(max(count), 0) < %(looks)s as whole
      from (select count(*) from standing group by part) as parts
)
select page.id::text, told.whole
  from told
  left join lateral (
       select standing.id from standing
        where told.whole
          and (%(functions)s::text[] is null or standing.function_id = any (%(functions)s::text[]))
          and standing.status = any (%(statuses)s::text[])
          and standing.created_at >= %(since)s::timestamptz and standing.created_at < %(until)s::timestamptz
          and standing.id >= %(first)s::uuid and standing.id < %(before)s::uuid
        order by standing.id desc limit %(limit)s) as page on true
 order by page.id desc
