-- The calls of models that one run made, in order. Parameters: id.
select step_id, attempt, ended_at, operation, provider, model, response_model, input_tokens, output_tokens, total_tokens,
       cached_tokens, cache_write_tokens, reasoning_tokens, streamed, latency, first_token,
       coalesce(cost::text, 'unknown') as cost, finish_reason, error
  from cdc_state.ai_calls where run_id = %(id)s order by ended_at, id
