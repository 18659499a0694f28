-- What the calls for vectors cost so far as they are kept, by provider and model: calls, tokens, US dollars (null: no
-- price is known of any), and how many answered calls have no known price. No parameters.
select provider, model, count(*), sum(input_tokens)::bigint, sum(cost), count(*) filter (where cost is null and error is null)
  from cdc_state.ai_calls
 where operation = 'embeddings'
 group by provider, model
