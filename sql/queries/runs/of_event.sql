-- The runs that an event started or was added to, and their replays (of each up to a thousand), oldest first. Ids begin
-- with the time: a run is made with its event, or earlier where some function gathers events. Parameters: id, middle (the
-- id of a run made at that moment), first and last (ids of runs made about then), earliest (likewise, of runs that may have
-- gathered), looks (how many are looked at, before and after).
with recursive begun as (
    select case when exists (select from cdc_state.functions f
                              where f.definition #> '{flow,debounce}' is not null
                                 or f.definition #>> '{flow,batch_events,timeout}' is not null)
                then %(earliest)s::uuid else %(first)s::uuid end as id
), about as (
    (select id, event_ids from cdc_state.runs
      where id >= %(middle)s::uuid and id <= %(last)s::uuid order by runs.id limit %(looks)s)
    union all
    (select id, event_ids from cdc_state.runs
      where id < %(middle)s::uuid and id >= (select id from begun) order by runs.id desc limit %(looks)s)
), found as (
    select about.id from about where about.event_ids @> array[%(id)s::uuid]
    union
    select r.id from found
     cross join lateral (select id from cdc_state.runs where replays = found.id order by replays limit 1000) as r
)
select r.id::text
  from cdc_state.runs r where r.id = any (array(select id from found)) order by r.id
