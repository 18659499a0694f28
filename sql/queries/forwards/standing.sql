-- How far the incarnations of all sources were accepted and sent on, the oldest first; place is null where it was not
-- begun. No parameters.
select s.id, s.name, c.commit_lsn::text, c.ordinal, f.place::text, f.sent, f.refused, f.lost, f.error
  from cdc_state.sources s
  join cdc_state.checkpoints c on c.source_id = s.id
  left join cdc_state.forwards f on f.source_id = s.id
 order by s.id
