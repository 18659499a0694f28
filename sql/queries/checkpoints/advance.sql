-- Move a checkpoint, if nobody else has: no row means that another listener took over.
-- Returns the registry's version, so that one round trip also tells whether functions changed.
-- Parameters: source_id, epoch, from_commit_lsn, from_ordinal, commit_lsn, ordinal, end_lsn. Locks: the checkpoint row.
update cdc_state.checkpoints
   set commit_lsn = %(commit_lsn)s::pg_lsn, ordinal = %(ordinal)s, end_lsn = %(end_lsn)s::pg_lsn, updated_at = now()
 where source_id = %(source_id)s and epoch = %(epoch)s
   and commit_lsn = %(from_commit_lsn)s::pg_lsn and ordinal = %(from_ordinal)s
returning (select version from cdc_state.registry)
