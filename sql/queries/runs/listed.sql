-- Runs as lists show them, newest first: output and error of more than 4 kB are left out, and of them, unless they are
-- very large, the beginning is given. How large they are stored is known without reading them. Parameters: ids.
select r.id::text, r.function_id, r.status, r.failures, r.created_at, r.started_at, r.ended_at, r.replays::text,
       small.output, small.error,
       (small.output is null and r.output is not null) or (small.error is null and r.error is not null) as truncated,
       case when small.output is null and pg_column_size(r.output) <= 65536 then left(r.output::text, 1000) end as excerpt,
       case when small.error is null and pg_column_size(r.error) <= 65536 then left(r.error::text, 2000) end
           as error_begins
  from cdc_state.runs r
 cross join lateral (
       select case when pg_column_size(r.output) <= 4096 and octet_length(r.output::text) <= 4096 then r.output end as output,
              case when pg_column_size(r.error) <= 4096 and octet_length(r.error::text) <= 4096 then r.error end as error
       ) as small
 where r.id = any (%(ids)s::uuid[])
 order by r.id desc
