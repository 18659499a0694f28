-- Tables that may be published, and what decides whether and how: those that are named, those that patterns mean, and
-- those that are published now; with their partitions. Parameters: publication; schemas, tables: those named, arrays of
-- equal length; in_schemas: every table of these; everything (boolean): of all.
with published as (
    -- Through to_jsonb, because columns and rows can be left out only since 15.
    select t.schemaname, t.tablename, to_jsonb(t) -> 'attnames' as columns, to_jsonb(t) ->> 'rowfilter' as filter
      from pg_publication_tables t where t.pubname = %(publication)s
), members as (
    select r.prrelid from pg_publication_rel r join pg_publication p on p.oid = r.prpubid
     where p.pubname = %(publication)s
), wanted as (
    select distinct schema, name from unnest(%(schemas)s::text[], %(tables)s::text[]) as named (schema, name)
)
select n.nspname::text, c.relname::text, c.relkind = 'p' as is_partitioned, c.relpersistence = 'p' as is_logged,
       exists (select from cdc.embeddings e
                where e.target_kind <> 'column' and (e.target_schema, e.target_table) = (n.nspname, c.relname)
              ) as is_target,
       m.prrelid is not null as is_member,
       p.tablename is not null as is_published,
       -- From the nearest to the root.
       coalesce((select json_agg(json_build_array(rn.nspname, rc.relname) order by a.place)
                   from pg_partition_ancestors(c.oid) with ordinality as a (relid, place)
                   join pg_class rc on rc.oid = a.relid join pg_namespace rn on rn.oid = rc.relnamespace
                  where a.relid <> c.oid), '[]') as ancestors,
       -- Values of virtual columns are not stored, so that they cannot be published; stored ones can be since 18.
       array(select a.attname::text from pg_attribute a
              where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
                and a.attgenerated = any (case when current_setting('server_version_num')::integer >= 180000
                                               then array['', 's'] else array[''] end::"char"[])
              order by a.attnum) as columns,
       case c.relreplident
           when 'f' then array(select a.attname::text from pg_attribute a
                                where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped)
           when 'n' then null
           else (select array_agg(a.attname::text) from pg_index i
                   join pg_attribute a on a.attrelid = i.indrelid
                                       and a.attnum = any ((i.indkey::int2[])[0:i.indnkeyatts - 1])
                  where i.indrelid = c.oid
                    and case c.relreplident when 'd' then i.indisprimary and i.indimmediate else i.indisreplident end)
       end as identity,
       p.columns as published_columns, p.filter as published_filter,
       coalesce((select json_agg(json_build_array(h.value, a.attname)) from jsonb_each_text(r.hidden) h
                   join pg_attribute a on a.attrelid = c.oid and a.attnum = h.key::integer and not a.attisdropped
                  where r.relation = c.oid), '[]') as hidden,
       r.columns as restricted_columns, r.filter as restricted_filter, r.filter_in_force
  from pg_class c
  join pg_namespace n on n.oid = c.relnamespace
  left join members m on m.prrelid = c.oid
  left join published p on (p.schemaname, p.tablename) = (n.nspname, c.relname)
  left join cdc.restrictions r on (r.table_schema, r.table_name) = (n.nspname, c.relname)
 where c.relkind in ('r', 'p')
   and (m.prrelid is not null or p.tablename is not null
        or exists (select from wanted w where (w.schema, w.name) = (n.nspname, c.relname))
        or c.relispartition
           and exists (select from pg_partition_ancestors(c.oid) a
                         join pg_class ac on ac.oid = a.relid join pg_namespace an on an.oid = ac.relnamespace
                         join wanted w on (w.schema, w.name) = (an.nspname, ac.relname))
        or (%(everything)s::boolean or n.nspname = any (%(in_schemas)s::text[]))
           and c.relpersistence = 'p' and n.nspname <> all (array['cdc', 'cdc_state', 'pg_catalog', 'information_schema'])
           and n.nspname !~ '^pg_')
 order by n.nspname, c.relname
