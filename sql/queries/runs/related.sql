-- The runs that the steps of one run invoked, and its replays, in order: the first so many of each. Parameters: id, limit.
(select id::text, function_id, status, invoker_step, replays::text
   from cdc_state.runs where invoker = %(id)s order by runs.id limit %(limit)s)
union all
(select id::text, function_id, status, null, replays::text
   from cdc_state.runs where replays = %(id)s order by runs.id limit %(limit)s)
