-- Keep lines that runs told their loggers. Parameters: arrays run_ids, levels, lines, fields (JSON).
insert into cdc_state.logs (run_id, level, line, fields)
select * from unnest(%(run_ids)s::uuid[], %(levels)s::text[], %(lines)s::text[], %(fields)s::json[])
