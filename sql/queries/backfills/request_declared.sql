-- Ask for the backfill of each declared embedding, once. Parameters: source, only_function, and arrays of equal
-- length: declarations, schemas, tables.
insert into cdc_state.backfills (source, table_schema, table_name, only_function, declaration)
select %(source)s, declared.schema, declared.name, %(only_function)s, declared.id
  from unnest(%(declarations)s::integer[], %(schemas)s::text[], %(tables)s::text[]) as declared (id, schema, name)
on conflict do nothing
