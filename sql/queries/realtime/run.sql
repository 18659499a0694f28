-- What a run came to, for those who listen to it. Parameters: id.
select function_id, status, ended_at is not null, output, error from cdc_state.runs where id = %(id)s
