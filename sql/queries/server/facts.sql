-- What logical replication asks of a server and a role.
select current_setting('server_version_num')::integer as version,
       current_setting('wal_level') as wal_level,
       current_setting('server_encoding') as encoding,
       pg_is_in_recovery() as in_recovery,
       r.rolname as role,
       r.rolsuper or r.rolreplication
           or exists (select from pg_roles m
                       where m.rolname in ('rds_replication', 'rds_superuser', 'cloudsqlsuperuser')
                         and pg_has_role(r.oid, m.oid, 'member')) as may_replicate,
       -- Whether to make our schemas, or because they were made for it (cdc setup).
       has_database_privilege(current_database(), 'create') or to_regnamespace('cdc') is not null as may_create
  from pg_roles r where r.rolname = current_user
