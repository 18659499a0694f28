-- The latest runs of a choice, newest first. Parameters: functions and statuses (arrays; null: any), since, until
-- (null: any time), before (an id: the page before ended there; null: from the newest), limit.
select id::text, function_id, status, failures, created_at, started_at, ended_at, replays::text, output, error
  from cdc_state.runs
 where (%(functions)s::text[] is null or function_id = any (%(functions)s::text[]))
   and (%(statuses)s::text[] is null or status = any (%(statuses)s::text[]))
   and (%(since)s::timestamptz is null or created_at >= %(since)s::timestamptz)
   and (%(until)s::timestamptz is null or created_at < %(until)s::timestamptz)
   and (%(before)s::uuid is null or id < %(before)s::uuid)
 order by runs.id desc limit %(limit)s
