-- Begin anew with these tables: under a new id nothing is known of their rows. Returns (schema, name, id).
-- Parameters: source_id, arrays schemas, names, identities.
-- Locks: their rows, behind the source's checkpoint: one writer for each source.
insert into cdc_state.narrowed_tables (source_id, schema, name, identity)
select %(source_id)s, n.schema, n.name, n.identity
  from unnest(%(schemas)s::text[], %(names)s::text[], %(identities)s::text[]) as n (schema, name, identity)
on conflict (source_id, schema, name) do update set id = default, identity = excluded.identity
returning schema, name, id
