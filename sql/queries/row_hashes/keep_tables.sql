-- Forget the tables of a source that no trigger narrows on; history drops their rows later (row_hashes/prune).
-- Parameters: source_id, arrays schemas and names, of those to keep.
-- Locks: their rows, behind the source's checkpoint: one writer for each source.
delete from cdc_state.narrowed_tables t
 where t.source_id = %(source_id)s
   and not exists (select from unnest(%(schemas)s::text[], %(names)s::text[]) as n (schema, name)
                    where n.schema = t.schema and n.name = t.name)
