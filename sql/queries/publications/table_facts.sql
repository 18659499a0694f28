-- Which of these tables exist, and whether UPDATE and DELETE on them can be published: they need an identity.
-- Parameters: schemas, tables: arrays of equal length.
select n.nspname, c.relname,
       case c.relreplident
           when 'f' then true
           when 'd' then exists (select from pg_index i where i.indrelid = c.oid and i.indisprimary)
           when 'i' then exists (select from pg_index i where i.indrelid = c.oid and i.indisreplident)
           else false
       end as has_identity
  from unnest(%(schemas)s::text[], %(tables)s::text[]) as wanted (schema, name)
  join pg_namespace n on n.nspname = wanted.schema
  join pg_class c on c.relnamespace = n.oid and c.relname = wanted.name and c.relkind in ('r', 'p')
