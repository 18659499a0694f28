-- Migrators take turns, for a transaction each. Parameters: key. Locks: this advisory lock, before anything else.
select pg_advisory_xact_lock(%(key)s)
