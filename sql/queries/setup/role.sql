-- A role that the service is to run as, seen from the one that sets it up; no row: there is none. Parameters: role.
select r.rolcanlogin, r.rolsuper or r.rolreplication
           or exists (select from pg_roles m
                       where m.rolname in ('rds_replication', 'rds_superuser', 'cloudsqlsuperuser')
                         and pg_has_role(r.oid, m.oid, 'member')) as may_replicate,
       has_database_privilege(r.oid, current_database(), 'connect') as may_connect,
       pg_has_role(r.oid, 'usage') as is_ours
  from pg_roles r where r.rolname = %(role)s
