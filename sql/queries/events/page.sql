-- A page of the events, newest first: the ids of those with a name, and of the last event that was looked at (`place` =
-- looks), matched or not. Parameters: name (a pattern of LIKE; null: any), since, before_at and before_id (what came
-- before that event; the page begins there), looks (how many are looked at), limit. At one moment there are up to
-- 20,000 of them, accepted together: these are sorted.
select page.id::text, page.accepted_at, page.place, page.matched
  from (select seen.id, seen.accepted_at,
               row_number() over (order by seen.accepted_at desc, seen.id desc) as place,
               (%(name)s::text is null or seen.name like %(name)s::text) as matched
          from (select id, accepted_at, name
                  from cdc_state.events
                 where accepted_at >= %(since)s::timestamptz and accepted_at <= %(before_at)s::timestamptz
                   and (accepted_at, id) < (%(before_at)s::timestamptz, %(before_id)s::uuid)
                 order by accepted_at desc, events.id desc limit %(looks)s) as seen) as page
 where page.matched or page.place = %(looks)s
 order by page.accepted_at desc, page.id desc limit %(limit)s
