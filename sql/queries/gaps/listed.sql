-- The windows in which changes were lost, latest first. Parameters: limit.
select source, from_lsn::text, from_at, to_lsn::text, to_at, reason
  from cdc_state.gaps order by id desc limit %(limit)s
