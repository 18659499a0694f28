-- Whether there is such a run. Parameters: id.
select exists (select from cdc_state.runs where id = %(id)s)
