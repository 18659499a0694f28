-- Something that changes when one of the latest runs does, or when runs were counted. Parameters: none.
select (select string_agg(concat_ws(' ', r.id, r.status, r.started_at), ',')
          from (select id, status, started_at from cdc_state.runs order by id desc limit 100) as r),
       (select string_agg(concat_ws(' ', t.what, t.at, t.count), ',' order by t.what, t.at)
          from cdc_state.tallies t
         where t.width = 60 and t.name = '' and t.at >= date_trunc('minute', now()) - interval '1 minute'
           and t.what in ('started', 'completed', 'failed', 'cancelled', 'retried'))
