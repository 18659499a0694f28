-- Something that changes when changes are accepted, or lost. Parameters: none.
select (select string_agg(concat_ws(' ', c.source_id, c.epoch, c.end_lsn, c.ordinal), ',' order by c.source_id)
          from cdc_state.checkpoints c),
       (select concat_ws(' ', count(*), max(g.to_at)) from cdc_state.gaps g),
       (select max(g.at) from cdc_state.gauges g)
