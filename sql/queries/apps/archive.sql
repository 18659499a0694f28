-- Archive functions of an app, but for those that are kept. Parameters: app, kept (ids).
-- Locks: the registry row is held.
update cdc_state.functions set archived_at = now()
 where app = %(app)s and archived_at is null and id <> all (%(kept)s::text[])
returning id
