-- Types of this database's own, with all those that they are made of. Types that are gone have no row.
-- Parameters: oids (array of types, as text).
with recursive wanted(oid) as (
    select unnest(%(oids)s::oid[])
  union
    select part.oid
      from wanted
      join pg_type t on t.oid = wanted.oid
     cross join lateral (
               select t.typbasetype where t.typtype = 'd'
               union all
               select t.typelem where t.typsubscript = 'array_subscript_handler'::regproc
               union all
               select a.atttypid from pg_attribute a
                where t.typtype = 'c' and a.attrelid = t.typrelid and a.attnum > 0 and not a.attisdropped) part(oid)
     where part.oid >= 10000
)
select t.oid::bigint,
       case when t.typtype = 'd' then 'domain'
            when t.typtype = 'c' then 'composite'
            when t.typsubscript = 'array_subscript_handler'::regproc then 'array'
            else 'scalar' end as kind,
       case when t.typtype = 'd' then t.typbasetype else t.typelem end::bigint as of_oid,
       coalesce(e.typdelim::text, ',') as delimiter,
       coalesce(a.names, '{}') as names,
       coalesce(a.oids, '{}') as oids,
       coalesce(x.extname::text, '') as extension,
       t.typname::text as name
  from wanted
  join pg_type t on t.oid = wanted.oid
  left join pg_type e on e.oid = t.typelem
  left join pg_depend d on d.classid = 'pg_type'::regclass and d.objid = t.oid and d.deptype = 'e'
                       and d.refclassid = 'pg_extension'::regclass
  left join pg_extension x on x.oid = d.refobjid
  left join lateral (
            select array_agg(a.attname::text order by a.attnum) as names,
                   array_agg(a.atttypid::bigint order by a.attnum) as oids
              from pg_attribute a
             where t.typtype = 'c' and a.attrelid = t.typrelid and a.attnum > 0 and not a.attisdropped) a on true
