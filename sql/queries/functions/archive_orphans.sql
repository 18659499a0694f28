-- Archive the functions that no live worker has; those of apps are the apps' own.
update cdc_state.functions f set archived_at = now()
 where f.archived_at is null and f.app is null
   and not exists (select from cdc_state.workers w where f.id = any (w.functions))
returning f.id
