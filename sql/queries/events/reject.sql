-- Set aside a change that could not be stored. Parameters: id, source_id, name, position, reason.
insert into cdc_state.rejected_events (id, source_id, name, position, reason)
values (%(id)s, %(source_id)s, %(name)s, %(position)s, %(reason)s)
on conflict (id) do nothing
