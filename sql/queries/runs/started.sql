-- How many runs these events started or were added to, by status, among the runs whose ids are from first to last: all of
-- them, or nothing where that would take longer than a page should. Parameters: ids, first and last (ids of runs), most
-- (runs looked at).
with looked as materialized (
    select id, status, event_ids from cdc_state.runs
     where id >= %(first)s::uuid
     order by runs.id limit %(most)s::bigint
)
select event_id::text, looked.status, count(*)
  from looked
 cross join lateral unnest(looked.event_ids) as event_id
 where looked.id <= %(last)s::uuid and event_id = any (%(ids)s::uuid[])
   and ((select count(*) from looked) < %(most)s::bigint
        or exists (select from looked as beyond where beyond.id > %(last)s::uuid))
 group by event_id, looked.status
 order by event_id, looked.status
