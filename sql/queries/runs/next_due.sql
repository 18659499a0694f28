-- Seconds until the next unfinished run of these functions is due; null when there is none. Priority moves a run within
-- its queue, so the first few of each are looked at. Parameters: functions.
select min(first.due_in)
  from ((select extract(epoch from r.due_at - now())::float8 as due_in
           from cdc_state.runs r
          where r.status in ('queued', 'sleeping', 'waiting') and r.held_at is null and r.gates is null
            and r.function_id = any (%(functions)s)
          order by r.rank, r.id
          limit 20)
        union all
        (select extract(epoch from r.due_at - now())::float8
           from cdc_state.runs r
          where r.status in ('queued', 'sleeping', 'waiting') and r.held_at is null and r.gates is not null
            and r.function_id = any (%(functions)s)
          order by r.rank, r.id
          limit 20)) as first
