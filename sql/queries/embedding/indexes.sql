-- The indexes on one column alone: name, whether searches can use it, its access method and operator class.
-- Parameters: schema, name, column. Catalogs only.
select i.relname::text as name, x.indisvalid and x.indisready as valid, m.amname::text as access, o.opcname::text as opclass
  from pg_namespace n
  join pg_class t on t.relnamespace = n.oid
  join pg_attribute a on a.attrelid = t.oid and a.attname = %(column)s
  join pg_index x on x.indrelid = t.oid and x.indnkeyatts = 1 and x.indkey[0] = a.attnum and x.indpred is null
  join pg_class i on i.oid = x.indexrelid
  join pg_am m on m.oid = i.relam
  join pg_opclass o on o.oid = x.indclass[0]
 where (n.nspname, t.relname) = (%(schema)s, %(name)s)
