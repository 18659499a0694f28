-- Steps of a run that ended, but for those told already, the first of them first. Parameters: id, told (ids), limit.
select id, data, error from cdc_state.steps
 where run_id = %(id)s and ended_at is not null and id <> all (%(told)s::text[])
 order by ended_at, id limit %(limit)s
