-- How many runs these events started or were added to, by status, among the runs whose ids are from first to last: all of
-- them, or nothing where that would take longer than a page should. Parameters: ids, first and last (ids of runs), most.
with looked as materialized (
    select status, event_ids from cdc_state.runs
     where id >= %(first)s::uuid and id <= %(last)s::uuid
     order by id limit %(most)s::bigint + 1
)
select event_id::text, status, count(*)
  from looked
 cross join lateral unnest(looked.event_ids) as event_id
 where event_id = any (%(ids)s::uuid[]) and (select count(*) from looked) <= %(most)s::bigint
 group by event_id, status
 order by event_id, status
