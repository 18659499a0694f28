-- The same of events whose data has a text in it, as it is written there. What is looked at is limited by its size, too,
-- which is known without reading it; what is compressed counts fourfold. Parameters, as of events/page: name,
-- since, before_at, before_id, looks, limit; containing (the text), bytes (how many may be looked at; one event is in any
-- case).
select page.id::text, page.accepted_at,
       case when page.spent >= %(bytes)s::bigint then %(looks)s::bigint else page.place end as place,
       (%(name)s::text is null or page.name like %(name)s::text) and strpos(page.data::text, %(containing)s::text) > 0
           as matched
  from (select weighed.*, row_number() over newest_first as place, sum(weighed.weight) over newest_first as spent
          from (select id, accepted_at, name, data,
                       pg_column_size(data) * case when pg_column_compression(data) is null then 1 else 4 end as weight
                  from cdc_state.events
                 where accepted_at >= %(since)s::timestamptz and accepted_at <= %(before_at)s::timestamptz
                   and (accepted_at, id) < (%(before_at)s::timestamptz, %(before_id)s::uuid)
                 order by accepted_at desc, events.id desc limit %(looks)s) as weighed
        window newest_first as (order by weighed.accepted_at desc, weighed.id desc rows unbounded preceding)) as page
 where page.spent - page.weight < %(bytes)s::bigint
   and (page.place = %(looks)s or page.spent >= %(bytes)s::bigint
        or ((%(name)s::text is null or page.name like %(name)s::text)
            and strpos(page.data::text, %(containing)s::text) > 0))
 order by page.accepted_at desc, page.id desc limit %(limit)s
