-- Send an event of one's own; see cdc.send in migrations/source. Parameters: name, data and user (JSON), id, ts, v.
select cdc.send(%(name)s, %(data)s::json, id => %(id)s, ts => %(ts)s, "user" => %(user)s::json, v => %(v)s)
