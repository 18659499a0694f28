-- The data of an event as an example, unless it is longer than `most` bytes. Parameters: id, most.
select name, case when octet_length(data::text) <= %(most)s then data end from cdc_state.events where id = %(id)s
