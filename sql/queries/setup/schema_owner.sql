-- Who owns a schema; no row: there is none. Parameters: schema.
select r.rolname::text from pg_namespace n join pg_roles r on r.oid = n.nspowner where n.nspname = %(schema)s
