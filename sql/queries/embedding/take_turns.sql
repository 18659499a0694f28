-- Be the only session that makes indexes of this database's embeddings, until it ends; false: another one is.
-- No parameters. Locks: an advisory one.
select pg_try_advisory_lock(hashtext('cdc.embeddings'), 1)
