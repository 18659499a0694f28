-- Send an event of one's own; see cdc.send in migrations/source. Parameters: name, data (JSON).
select cdc.send(%(name)s, %(data)s::json)
