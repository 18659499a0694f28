-- Delete what is left of tables that were forgotten or begun anew, and of sources that are no more. Parameters: limit.
-- Which tables there are is read with one probe of the index for each (a loose index scan).
-- Locks: rows that nobody writes any more, skipping locked ones.
with recursive tables as (
    (select table_id from cdc_state.row_hashes order by table_id limit 1)
    union all
    select (select r.table_id from cdc_state.row_hashes r where r.table_id > t.table_id order by r.table_id limit 1)
      from tables t
     where t.table_id is not null
), old as materialized (
    select r.table_id, r.key
      from tables t
     cross join lateral (select h.table_id, h.key from cdc_state.row_hashes h
                          where h.table_id = t.table_id limit %(limit)s for update skip locked) as r
     where not exists (select from cdc_state.narrowed_tables n
                         join cdc_state.sources s on s.id = n.source_id and s.retired_at is null
                        where n.id = t.table_id)
     limit %(limit)s
)
delete from cdc_state.row_hashes r using old where r.table_id = old.table_id and r.key = old.key
