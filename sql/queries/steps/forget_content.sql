-- Forget what models said in runs that ended, where it was asked for without keeping the input (CDC_AI_CONTENT=drop).
-- Parameters: ids, of runs. Locks: the step rows.
update cdc_state.steps s set data = null
  from cdc_state.runs r
 where s.run_id = any (%(ids)s::uuid[]) and r.id = s.run_id and r.ended_at is not null
   and s.kind in ('wrap', 'infer') and s.input is null and s.data is not null
