-- How many runs are unfinished, by status, where one that stands at a gate counts as queued. Each part is read by its
-- partial index, the first of the queue first, and no further than the limit: there may be millions. What is true of all,
-- as "between", makes them seem few without statistics, too. Parameters: limit.
select status, count(*)
  from ((select status from cdc_state.runs
          where status in ('queued', 'sleeping', 'waiting') and held_at is null and gates is null
          order by rank, id limit %(limit)s)
        union all
        (select status from cdc_state.runs
          where status in ('queued', 'sleeping', 'waiting') and held_at is null and gates is not null
          order by rank, id limit %(limit)s)
        union all
        (select 'held' from cdc_state.runs where held_at between 'a' and 'z' order by held_at limit %(limit)s)
        union all
        (select status from cdc_state.runs
          where worker_id between 0 and 2147483647 and status = 'running' order by worker_id limit %(limit)s)
       ) as parts
 group by status
