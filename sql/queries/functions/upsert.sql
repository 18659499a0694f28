-- Register a function; a row comes back when that changed anything. Parameters: id, app (null: it is executed here),
-- definition.
insert into cdc_state.functions as f (id, app, definition) values (%(id)s, %(app)s, %(definition)s)
on conflict (id) do update
   set app = excluded.app, definition = excluded.definition, updated_at = now(), archived_at = null
 where f.definition::text <> excluded.definition::text or f.archived_at is not null or f.app is distinct from excluded.app
returning f.id
