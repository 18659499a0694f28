-- Store a copy of an event with other data, for one run alone: it starts nothing, fulfils nothing, and has no id of its
-- sender's. Parameters: id, edited_from (an id), data (JSON).
insert into cdc_state.events (id, source_id, name, ts, data, user_data, v, traceparent, edited_from)
select %(id)s, source_id, name, ts, %(data)s, user_data, v, traceparent, id
  from cdc_state.events where id = %(edited_from)s
