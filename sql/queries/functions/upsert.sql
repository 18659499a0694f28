-- Register a function; a row comes back when that changed anything. Parameters: id, definition.
insert into cdc_state.functions as f (id, definition) values (%(id)s, %(definition)s)
on conflict (id) do update
   set definition = excluded.definition, updated_at = now(), archived_at = null
 where f.definition::text <> excluded.definition::text or f.archived_at is not null
returning f.id
