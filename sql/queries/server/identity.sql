-- Which server and timeline this is, asked without the right to replicate: as IDENTIFY_SYSTEM says it.
-- Not on a standby, which writes no WAL.
select system_identifier::text as system_identifier,
       ('x' || left(pg_walfile_name(pg_current_wal_lsn()), 8))::bit(32)::integer as timeline,
       current_database()::text as database
  from pg_control_system()
