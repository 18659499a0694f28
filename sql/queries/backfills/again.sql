-- Read the rows of these declared embeddings again from the first on: changes to them were lost. One that a person has
-- cancelled stays so. Parameters: source, declarations (array). Locks: the backfills' rows.
update cdc_state.backfills
   set status = 'requested', reason = null, last_key = null, until_key = null, again = '[]', rows_done = 0,
       requested_at = now(), started_at = null, ended_at = null
 where source = %(source)s and declaration = any (%(declarations)s::integer[]) and status <> 'cancelled'
