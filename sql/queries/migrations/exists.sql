-- One row when the table that remembers migrations is there. Parameters: table.
select from pg_class where oid = to_regclass(%(table)s)
