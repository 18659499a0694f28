-- Events as lists show them, newest first: data of more than 4 kB is left out, and of it, unless it is very large, the
-- beginning is given as `excerpt`. How large it is stored is known without reading it. Parameters: ids.
select id::text, name, ts, accepted_at, given_id, v, small.data,
       small.data is null as truncated,
       case when small.data is null and pg_column_size(events.data) <= 65536 then left(events.data::text, 1000) end
           as excerpt
  from cdc_state.events
 cross join lateral (select case when pg_column_size(events.data) <= 4096 and octet_length(events.data::text) <= 4096
                                 then events.data end as data) as small
 where id = any (%(ids)s::uuid[])
 order by accepted_at desc, events.id desc
