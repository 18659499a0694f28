-- One call of a model with what its step was given and what came of it, where that was kept; of each at most `most`
-- characters. Parameters: id, most.
select c.id, c.ended_at, c.run_id::text, c.step_id, c.attempt, c.function_id, c.operation, c.provider, c.model,
       c.response_model, c.inputs, c.input_tokens, c.output_tokens, c.total_tokens, c.cached_tokens, c.cache_write_tokens,
       c.reasoning_tokens, c.streamed, c.latency, c.first_token, c.cost::float8, c.finish_reason, c.error,
       left(s.input::text, %(most)s) as prompt, left(s.data::text, %(most)s) as output, s.error as failure
  from cdc_state.ai_calls c left join cdc_state.steps s on s.run_id = c.run_id and s.id = c.step_id
 where c.id = %(id)s
