-- End the live incarnation of a source and refuse whoever still listens for it. What comes after its checkpoint is a
-- gap until the next incarnation begins.
-- Parameters: name, reason. Locks: the source's row, then its checkpoint's.
with retired as (
    update cdc_state.sources set retired_at = now() where name = %(name)s and retired_at is null returning id
), fenced as (
    update cdc_state.checkpoints c set epoch = epoch + 1
      from retired
     where c.source_id = retired.id
    returning c.source_id, c.end_lsn, c.updated_at
)
insert into cdc_state.gaps (source, source_id, from_lsn, from_at, reason)
select %(name)s, fenced.source_id, fenced.end_lsn, fenced.updated_at, %(reason)s from fenced
