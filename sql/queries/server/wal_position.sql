-- End of the WAL that is safe on disk.
select pg_current_wal_flush_lsn()::text
