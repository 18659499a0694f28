-- The fields by which waits for these events are found, each once, however many waits there are: one probe of the index
-- for each (a loose index scan). Parameters: names.
with recursive found as (
    select first.event, first.path
      from unnest(%(names)s::text[]) as n (name)
     cross join lateral (select w.event, w.path from cdc_state.waits w
                          where w.event = n.name order by w.event, w.path limit 1) as first
    union all
    select next.event, next.path
      from found
     cross join lateral (select w.event, w.path from cdc_state.waits w
                          where w.event = found.event and w.path > found.path
                          order by w.event, w.path limit 1) as next
)
select event, path from found
union
select n.name, null
  from unnest(%(names)s::text[]) as n (name)
 where exists (select from cdc_state.waits w where w.event = n.name and w.path is null)
