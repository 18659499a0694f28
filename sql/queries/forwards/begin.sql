-- Begin to send on the events of these sources: when it is first switched on from where each is now, later from its first
-- event. The row of source 0 says that it was switched on. Parameters: arrays source_ids, places (where each is now).
insert into cdc_state.forwards (source_id, place)
select n.source_id,
       case when exists (select from cdc_state.forwards) then '00000000-0000-0000-0000-000000000000' else n.place end
  from (select 0, '00000000-0000-0000-0000-000000000000'::uuid
        union all
        select * from unnest(%(source_ids)s::integer[], %(places)s::uuid[])) as n (source_id, place)
on conflict (source_id) do nothing
