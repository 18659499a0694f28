-- Which of some functions somebody else has in force. Parameters: ids, app (who asks; null: the service itself).
-- Locks: the registry row is held.
select id, app from cdc_state.functions
 where id = any (%(ids)s::text[]) and archived_at is null and app is distinct from %(app)s::text
 order by id limit 1
