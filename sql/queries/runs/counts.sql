-- How many runs are unfinished, by status, where one that stands at a gate counts as queued. Each part is read by its
-- partial index: there may be millions of finished ones. What is true of all, as "between", makes them seem few without
-- statistics, too.
select status, sum(count)::bigint
  from (select status, count(*) from cdc_state.runs
         where status in ('queued', 'sleeping', 'waiting') and held_at is null and gates is null group by status
        union all
        select status, count(*) from cdc_state.runs
         where status in ('queued', 'sleeping', 'waiting') and held_at is null and gates is not null group by status
        union all
        select 'held', count(*) from cdc_state.runs where held_at between 'a' and 'z' having count(*) > 0
        union all
        select status, count(*) from cdc_state.runs
         where worker_id between 0 and 2147483647 and status = 'running' group by status
       ) as parts
 group by status
