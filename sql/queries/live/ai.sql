-- Something that changes when models are called. Parameters: none.
select max(id) from cdc_state.ai_calls
