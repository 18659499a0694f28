-- The latest runs of a function, newest first; among the latest `looked` of all. Parameters: function, looked, limit.
select id::text, status, created_at, started_at, ended_at, event_ids[1]::text as event_id
  from (select id, function_id, status, created_at, started_at, ended_at, event_ids
          from cdc_state.runs order by id desc limit %(looked)s) as latest
 where function_id = %(function)s
 order by latest.id desc limit %(limit)s
