-- How many runs a choice has, and the moment up to which they are counted: what is created later is not in it.
-- Parameters: functions and statuses (arrays; null: any), since, until (null: any time), after (an id below all of them).
select count(*), coalesce(%(until)s::timestamptz, now())
  from cdc_state.runs
 where id > %(after)s::uuid
   and (%(functions)s::text[] is null or function_id = any (%(functions)s::text[]))
   and (%(statuses)s::text[] is null or status = any (%(statuses)s::text[]))
   and (%(since)s::timestamptz is null or created_at >= %(since)s::timestamptz)
   and created_at < coalesce(%(until)s::timestamptz, now())
