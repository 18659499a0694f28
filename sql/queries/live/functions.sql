-- Something that changes when functions are registered, paused or resumed, or runs were counted. Parameters: none.
select (select version from cdc_state.registry),
       (select string_agg(f.id, ',' order by f.id) from cdc_state.functions f where f.paused_at is not null),
       (select string_agg(concat_ws(' ', t.what, t.at, t.count), ',' order by t.what, t.at)
          from cdc_state.tallies t
         where t.width = 60 and t.name = '' and t.at >= date_trunc('minute', now()) - interval '1 minute'
           and t.what in ('started', 'completed', 'failed', 'cancelled', 'retried'))
