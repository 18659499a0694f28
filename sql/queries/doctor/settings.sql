-- Settings of the server that say how long it waits for us and what it keeps for us, in their units; those that this
-- version does not have are missing. Parameters: names: an array.
select name, setting::bigint, coalesce(unit, '') from pg_settings where name = any(%(names)s)
