-- Keep what an app says about a run or one of its steps, unless that has grown too large: then nothing is kept.
-- Parameters: run_id, step_id (null: the run itself), arrays kinds, ops and fields (JSON); size, their characters; most,
-- which all of the run may have. Returns a row for each that is kept.
insert into cdc_state.metadata (run_id, step_id, kind, op, fields)
select %(run_id)s::uuid, %(step_id)s::text, said.kind, said.op, said.fields
  from unnest(%(kinds)s::text[], %(ops)s::text[], %(fields)s::json[]) as said (kind, op, fields)
 where %(size)s::bigint + (select coalesce(sum(length(m.fields::text)), 0)
                             from cdc_state.metadata m where m.run_id = %(run_id)s::uuid) <= %(most)s::bigint
returning number
