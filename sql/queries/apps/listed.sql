-- The apps with the functions that they have in force. Parameters: name (of one; null: all).
select a.id, a.name, a.url, a.sdk, a.framework, a.version, a.created_at, a.synced_at, a.tried_at, a.error,
       coalesce((select array_agg(f.id order by f.id) from cdc_state.functions f
                  where f.app = a.name and f.archived_at is null), '{}') as functions
  from cdc_state.apps a
 where %(name)s::text is null or a.name = %(name)s::text
 order by a.name nulls first, a.id
