-- What is recorded of these runs' steps, those that ended in the order in which they did. Parameters: ids.
select run_id::text, id, kind, attempts, data, error, ended_at is not null, extract(epoch from wake_at - now())::float8,
       case when edited then input end
  from cdc_state.steps where run_id = any (%(ids)s::uuid[])
 order by coalesce(ended_at, wake_at)
