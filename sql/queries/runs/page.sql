-- A page of a choice of runs, newest first: their ids, and that of the last run that was looked at (`place` = looks),
-- matched or not. Parameters: functions and statuses (arrays; null: any), since, until, first and before (ids: all are
-- between them, first with them), looks (how many are looked at), limit.
select page.id::text, page.created_at, page.place, page.matched
  from (select seen.id, seen.created_at, row_number() over (order by seen.id desc) as place,
               (%(functions)s::text[] is null or seen.function_id = any (%(functions)s::text[]))
               and (%(statuses)s::text[] is null or seen.status = any (%(statuses)s::text[]))
               and seen.created_at >= %(since)s::timestamptz and seen.created_at < %(until)s::timestamptz as matched
          from (select id, function_id, status, created_at
                  from cdc_state.runs
                 where id >= %(first)s::uuid and id < %(before)s::uuid
                 order by runs.id desc limit %(looks)s) as seen) as page
 where page.matched or page.place = %(looks)s
 order by page.id desc limit %(limit)s
