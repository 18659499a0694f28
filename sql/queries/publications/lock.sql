-- Services that bring targets and publication in line take turns. Locks: an advisory lock, until the session ends.
select pg_advisory_lock(hashtext('cdc follow'))
