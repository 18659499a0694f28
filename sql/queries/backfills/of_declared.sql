-- The backfills that the service asked for because of declared embeddings, with the declaration of each. Parameters:
-- source.
select declaration, id, status, reason, rows_done, rows_expected, started_at, ended_at
  from cdc_state.backfills
 where source = %(source)s and declaration is not null
