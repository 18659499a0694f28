-- The latest runs that failed, newest first, of one function or of all; among the latest `looked` that did not complete.
-- An error of more than 64 kB is left out.
-- Parameters: function (null: any), looked, limit.
select id::text, function_id, created_at, ended_at,
       case when octet_length(error::text) <= 65536 then error end as error
  from (select id, function_id, status, created_at, ended_at, error
          from cdc_state.runs where status in ('failed', 'cancelled') order by id desc limit %(looked)s) as latest
 where status = 'failed' and (%(function)s::text is null or function_id = %(function)s::text)
 order by latest.id desc limit %(limit)s
