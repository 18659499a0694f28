-- A page of a choice of runs, by id. Parameters: functions and statuses (arrays; null: any), since (null: any time),
-- until, after (an id: the page before ended there), limit.
select id::text
  from cdc_state.runs
 where id > %(after)s::uuid
   and (%(functions)s::text[] is null or function_id = any (%(functions)s::text[]))
   and (%(statuses)s::text[] is null or status = any (%(statuses)s::text[]))
   and (%(since)s::timestamptz is null or created_at >= %(since)s::timestamptz)
   and created_at < %(until)s::timestamptz
 order by runs.id limit %(limit)s
