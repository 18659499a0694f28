-- Archive the functions that no live worker has.
update cdc_state.functions f set archived_at = now()
 where f.archived_at is null
   and not exists (select from cdc_state.workers w where f.id = any (w.functions))
returning f.id
