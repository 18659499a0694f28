-- Fix the last key that it reads up to. Parameters: id, until_key.
update cdc_state.backfills set until_key = %(until_key)s::json where id = %(id)s
