-- Types of this database's own that columns of published tables have. Parameters: publication.
select distinct a.atttypid::bigint
  from pg_publication_tables p
  join pg_namespace n on n.nspname = p.schemaname
  join pg_class c on c.relnamespace = n.oid and c.relname = p.tablename
  join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped and a.atttypid >= 10000
 where p.pubname = %(publication)s
