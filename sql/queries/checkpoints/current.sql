-- The live incarnation of a source and its checkpoint. Parameters: name.
select s.id, s.system_identifier, s.timeline, s.slot, c.epoch, c.commit_lsn::text, c.ordinal, c.end_lsn::text
  from cdc_state.sources s join cdc_state.checkpoints c on c.source_id = s.id
 where s.name = %(name)s and s.retired_at is null
