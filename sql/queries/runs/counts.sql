-- How many runs are unfinished, by status, where one that stands at a gate counts as queued. Each part is read by its
-- partial index: there may be millions of finished ones.
select status, sum(count)::bigint
  from (select status, count(*) from cdc_state.runs
         where status in ('queued', 'sleeping', 'waiting') and held_at is null and gates is null group by status
        union all
        select status, count(*) from cdc_state.runs
         where status in ('queued', 'sleeping', 'waiting') and held_at is null and gates is not null group by status
        union all
        select 'held', count(*) from cdc_state.runs where held_at is not null having count(*) > 0
        union all
        select status, count(*) from cdc_state.runs where worker_id is not null and status = 'running' group by status
       ) as parts
 group by status
