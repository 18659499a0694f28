-- The statements that give one of our schemas, and all in it, to a role. Parameters: schema, role.
select format('alter schema %%I owner to %%I', %(schema)s::text, %(role)s::text)
union all
select format('alter %%s %%s owner to %%I',
              case c.relkind when 'S' then 'sequence' when 'v' then 'view' else 'table' end, c.oid::regclass,
              %(role)s::text)
  from pg_class c
 where c.relnamespace = to_regnamespace(quote_ident(%(schema)s::text)) and c.relkind in ('r', 'p', 'S', 'v')
   -- The sequence of an identity column goes with its table.
   and not exists (select from pg_depend d
                    where d.classid = 'pg_class'::regclass and d.objid = c.oid and d.deptype = 'i')
union all
select format('alter routine %%s owner to %%I', p.oid::regprocedure, %(role)s::text)
  from pg_proc p where p.pronamespace = to_regnamespace(quote_ident(%(schema)s::text))
union all
select format('alter type %%s owner to %%I', t.oid::regtype, %(role)s::text)
  from pg_type t
 where t.typnamespace = to_regnamespace(quote_ident(%(schema)s::text)) and t.typtype in ('e', 'd')
