-- Those of these tables that exist: whether they are published, by themselves or by another level of their partitions,
-- whether changes of their rows can be told, and whether this role owns them.
-- Parameters: publication; schemas, tables: arrays of equal length.
select n.nspname::text as schema, c.relname::text as name,
       exists (select from pg_publication_tables t
                 join pg_namespace tn on tn.nspname = t.schemaname
                 join pg_class r on r.relnamespace = tn.oid and r.relname = t.tablename
                where t.pubname = %(publication)s
                  and (r.oid = c.oid
                       or r.oid in (select relid from pg_partition_tree(c.oid))
                       or r.oid in (select relid from pg_partition_ancestors(c.oid)))) as published,
       case c.relreplident
           when 'f' then true
           when 'd' then exists (select from pg_index i where i.indrelid = c.oid and i.indisprimary)
           when 'i' then exists (select from pg_index i where i.indrelid = c.oid and i.indisreplident)
           else false
       end as has_identity,
       pg_has_role(c.relowner, 'usage') as ours,
       format('%%I.%%I', n.nspname, c.relname) as written
  from unnest(%(schemas)s::text[], %(tables)s::text[]) as wanted (schema, name)
  join pg_namespace n on n.nspname = wanted.schema
  join pg_class c on c.relnamespace = n.oid and c.relname = wanted.name and c.relkind in ('r', 'p')
 order by 1, 2
