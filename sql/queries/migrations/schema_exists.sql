-- One row when there is such a schema. Parameters: schema.
select from pg_namespace where nspname = %(schema)s
