-- Which of these roles there are: hosts of Postgres are known by those they make. Parameters: roles.
select rolname::text from pg_roles where rolname = any (%(roles)s)
