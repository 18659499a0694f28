-- Services that find a source unopened take turns. Parameters: name.
-- Locks: an advisory lock of the source's name until the transaction ends, before anything else.
select pg_advisory_xact_lock(hashtext('cdc source'), hashtext(%(name)s))
