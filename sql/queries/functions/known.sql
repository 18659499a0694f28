-- Whether there is such a function, and whether some worker has it. Parameters: id.
select archived_at is null from cdc_state.functions where id = %(id)s
