-- Become the only listener that may move this checkpoint: older epochs are refused from now on. Parameters: source_id.
-- Returns it as it is then: its last holder may have moved it until now. Locks: the checkpoint row.
update cdc_state.checkpoints set epoch = epoch + 1 where source_id = %(source_id)s
returning source_id, epoch, commit_lsn::text, ordinal, end_lsn::text
