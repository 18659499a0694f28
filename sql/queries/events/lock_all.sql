-- Wait for all that accept events, and keep others from beginning until this transaction ends: what they saw of the
-- registry is what it was before, what they see next is what it is after. Locks: before any row; see events/lock_names.
select pg_advisory_xact_lock(1128, 0)
