-- Tell cdc.embed which publication the service uses, and which tables to leave to it. Parameters: publication;
-- schemas, tables: arrays of equal length, where the table * stands for all of them.
insert into cdc.service (publication, restricted)
values (%(publication)s,
        array(select case name when '*' then format('%%I.*', schema) else format('%%I.%%I', schema, name) end
                from unnest(%(schemas)s::text[], %(tables)s::text[]) as restricted (schema, name) order by 1))
on conflict (only_row) do update set publication = excluded.publication, restricted = excluded.restricted
 where (cdc.service.publication, cdc.service.restricted) is distinct from (excluded.publication, excluded.restricted)
