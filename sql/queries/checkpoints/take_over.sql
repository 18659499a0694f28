-- Become the only listener that may move this checkpoint: older epochs are refused from now on. Parameters: source_id.
update cdc_state.checkpoints set epoch = epoch + 1 where source_id = %(source_id)s returning epoch
