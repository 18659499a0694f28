-- The functions in force and the registry's version.
select r.version, f.id, f.definition
  from cdc_state.registry r left join cdc_state.functions f on f.archived_at is null
 order by f.id
