-- Record calls of models. Parameters: arrays, one item a call: run_ids, step_ids, attempts, function_ids, operations,
-- providers, models, response_models, inputs, input_tokens, output_tokens, total_tokens, cached_tokens,
-- cache_write_tokens, reasoning_tokens, streamed, latencies, first_tokens, costs, finish_reasons, errors.
-- A commit whose answer was lost is repeated: one call of each attempt of a step is kept. No row locks.
insert into cdc_state.ai_calls
       (run_id, step_id, attempt, function_id, operation, provider, model, response_model, inputs, input_tokens,
        output_tokens, total_tokens, cached_tokens, cache_write_tokens, reasoning_tokens, streamed, latency, first_token,
        cost, finish_reason, error)
select n.*
  from unnest(%(run_ids)s::uuid[], %(step_ids)s::text[], %(attempts)s::integer[], %(function_ids)s::text[],
              %(operations)s::text[], %(providers)s::text[], %(models)s::text[], %(response_models)s::text[],
              %(inputs)s::integer[], %(input_tokens)s::bigint[], %(output_tokens)s::bigint[], %(total_tokens)s::bigint[],
              %(cached_tokens)s::bigint[], %(cache_write_tokens)s::bigint[], %(reasoning_tokens)s::bigint[],
              %(streamed)s::boolean[], %(latencies)s::float8[], %(first_tokens)s::float8[], %(costs)s::numeric[],
              %(finish_reasons)s::text[], %(errors)s::text[])
           as n (run_id, step_id, attempt, function_id, operation, provider, model, response_model, inputs, input_tokens,
                 output_tokens, total_tokens, cached_tokens, cache_write_tokens, reasoning_tokens, streamed, latency,
                 first_token, cost, finish_reason, error)
 where n.run_id is null
    or not exists (select from cdc_state.ai_calls c
                    where c.run_id = n.run_id and c.step_id = n.step_id and c.attempt = n.attempt)
