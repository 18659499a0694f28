-- Which of these events are stored already. Parameters: ids.
select id from cdc_state.events where id = any (%(ids)s::uuid[])
