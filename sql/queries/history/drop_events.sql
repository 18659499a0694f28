-- Delete these events, and count those that should have been sent on (CDC_FORWARD) and were not. Returns how many were
-- deleted. Parameters: ids. Locks: their rows, skipping locked ones, then the rows of forwards.
with old as materialized (
    select id from cdc_state.events where id = any (%(ids)s::uuid[]) for update skip locked
), dropped as (
    delete from cdc_state.events where id = any (array(select id from old))
    returning id, source_id, name, edited_from
), lost as (
    update cdc_state.forwards f set lost = f.lost + missed.number
      from (select d.source_id, count(*) as number
              from dropped d join cdc_state.forwards t on t.source_id = d.source_id
             where d.id >= t.place and d.name like 'db/%%' and d.edited_from is null
             group by d.source_id) as missed
     where f.source_id = missed.source_id
)
select count(*) from dropped
