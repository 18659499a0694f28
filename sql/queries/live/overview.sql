-- Something that changes when there is more to tell: what was counted and measured lately. Parameters: none.
select (select string_agg(concat_ws(' ', t.what, t.at, t.count), ',' order by t.what, t.at)
          from cdc_state.tallies t
         where t.width = 60 and t.name = '' and t.at >= date_trunc('minute', now()) - interval '1 minute'
           and t.what in ('event', 'started', 'completed', 'failed', 'cancelled', 'retried')),
       (select max(g.at) from cdc_state.gauges g),
       (select concat_ws(' ', r.id, r.status) from cdc_state.runs r order by r.id desc limit 1),
       (select max(a.id) from cdc_state.ai_calls a),
       (select count(*) from cdc_state.gaps)
