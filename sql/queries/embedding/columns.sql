-- The columns of a table, and their place in its primary key. Parameters: schema, name.
select a.attname::text as name,
       format_type(a.atttypid, a.atttypmod) as type,
       -- pgvector keeps the number of dimensions in the type modifier; -1 stands for any.
       case when t.typname in ('vector', 'halfvec') then a.atttypmod end as dimensions,
       case when t.typname in ('vector', 'halfvec') then t.typname::text end as vector_type,
       array_position(p.conkey, a.attnum) as key_place
  from pg_namespace n
  join pg_class c on c.relnamespace = n.oid
  join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
  join pg_type t on t.oid = a.atttypid
  left join pg_constraint p on p.conrelid = c.oid and p.contype = 'p'
 where (n.nspname, c.relname) = (%(schema)s, %(name)s)
 order by a.attnum
