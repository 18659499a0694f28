-- Services that bring targets and publication in line take turns, as long as nobody takes more than a while.
-- Locks: an advisory lock, until the session ends.
select set_config('lock_timeout', '10s', true), pg_advisory_lock(hashtext('cdc follow'))
