-- What there is now in the state, as what, name, value. The age of the oldest run that is due and that nobody has claimed
-- is that of the first ones in both queues: rank is when a run is due, less its priority. Parameters: limit.
select 'queue_age' as what, '' as name, coalesce(max(extract(epoch from now() - first.due_at)), 0)::float8 as value
  from ((select due_at from cdc_state.runs
          where status in ('queued', 'sleeping', 'waiting') and held_at is null and gates is null
          order by rank, id limit 100)
        union all
        (select due_at from cdc_state.runs
          where status in ('queued', 'sleeping', 'waiting') and held_at is null and gates is not null
          order by rank, id limit 100)) as first
 where first.due_at <= now()
union all
select 'inferences', '', count(*) from (select from cdc_state.inferences limit %(limit)s) as waiting
union all
select 'gaps', '', count(*) from cdc_state.gaps where to_lsn is null
union all
select 'connections', '', count(*) from pg_stat_activity where datname = current_database()
