-- The same of runs that failed or were cancelled: through their own index, for they may be few among many.
-- Parameters, as of runs/page: functions, statuses, since, until, first, before, looks, limit.
select page.id::text, page.created_at, page.place, page.matched
  from (select seen.id, seen.created_at, row_number() over (order by seen.id desc) as place,
               (%(functions)s::text[] is null or seen.function_id = any (%(functions)s::text[]))
               and seen.status = any (%(statuses)s::text[])
               and seen.created_at >= %(since)s::timestamptz and seen.created_at < %(until)s::timestamptz as matched
          from (select id, function_id, status, created_at
                  from cdc_state.runs
                 where status in ('failed', 'cancelled') and id >= %(first)s::uuid and id < %(before)s::uuid
                 order by runs.id desc limit %(looks)s) as seen) as page
 where page.matched or page.place = %(looks)s
 order by page.id desc limit %(limit)s
