-- What these runs have deferred and not taken back, in order, where they have ended: what defer(x) keeps, abort(x) takes
-- back. Parameters: ids, of runs.
select r.id::text, r.function_id, s.id, s.data
  from cdc_state.runs r join cdc_state.steps s on s.run_id = r.id
 where r.id = any (%(ids)s::uuid[]) and r.ended_at is not null and s.run_id = any (%(ids)s::uuid[]) and s.kind = 'defer'
   and not exists (select from cdc_state.steps a
                    where a.run_id = s.run_id and a.kind = 'abort' and a.id = 'abort' || substr(s.id, 6))
 order by r.id, s.ended_at, s.id
