-- What following a table asks of it and of our role; no row: the table is gone. Parameters: schema, name.
select c.oid::regclass::text as name,
       current_user::text as role,
       row_security_active(c.oid) as rows_hidden,
       has_any_column_privilege(c.oid, 'select') as may_read,
       has_any_column_privilege(c.oid, 'update') as may_update,
       -- Whether the published image of a deleted row carries the whole primary key.
       case c.relreplident
           when 'd' then true
           when 'f' then true
           when 'i' then exists (
               select from pg_index i join pg_constraint p on p.conrelid = i.indrelid and p.contype = 'p'
                where i.indrelid = c.oid and i.indisreplident and p.conkey <@ i.indkey::int2[])
           else false
       end as identity_has_key,
       c.relkind = 'p' as is_partitioned
  from pg_class c
  join pg_namespace n on n.oid = c.relnamespace
 where (n.nspname, c.relname) = (%(schema)s, %(name)s) and c.relkind in ('r', 'p')
