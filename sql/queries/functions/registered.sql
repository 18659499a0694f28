-- The functions in force and the registry's version.
select r.version, f.id, f.definition, f.paused_at is not null
  from cdc_state.registry r left join cdc_state.functions f on f.archived_at is null
 order by f.id
