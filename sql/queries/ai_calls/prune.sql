-- Delete calls of models that are old enough. Parameters: limit, kept (seconds). Locks: their rows, skipping locked ones.
with old as materialized (
    select id from cdc_state.ai_calls
     where ended_at < now() - make_interval(secs => %(kept)s)
     order by ended_at
     limit %(limit)s
       for update skip locked
)
delete from cdc_state.ai_calls where id = any (array(select id from old))
