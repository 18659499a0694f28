-- The latest calls of models, newest first. Parameters: before (an id: the page before ended there; null: from the newest),
-- limit.
select id, ended_at, run_id::text, step_id, attempt, function_id, operation, provider, model, inputs, input_tokens,
       output_tokens, streamed, latency, cost::float8, error
  from cdc_state.ai_calls
 where %(before)s::bigint is null or id < %(before)s::bigint
 order by id desc limit %(limit)s
