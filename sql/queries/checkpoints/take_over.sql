-- Become the only listener that may move this checkpoint: older epochs are refused from now on. Parameters: source_id.
-- Returns it as it is then: its last holder may have moved it until now; no row when its incarnation has ended.
-- Locks: the source's row, shared, then the checkpoint row.
with live as materialized (
    select id from cdc_state.sources where id = %(source_id)s and retired_at is null for share
)
update cdc_state.checkpoints c set epoch = epoch + 1
  from live
 where c.source_id = live.id
returning c.source_id, c.epoch, c.commit_lsn::text, c.ordinal, c.end_lsn::text
