-- These declared embeddings are not kept at present: once they are again, their rows are to be read again.
-- Parameters: source, declarations: an array.
update cdc_state.backfills
   set declaration = null,
       status = case when status in ('requested', 'running') then 'cancelled' else status end,
       ended_at = coalesce(ended_at, now())
 where source = %(source)s and declaration = any (%(declarations)s::integer[])
