-- Keep lines that runs told their loggers. Parameters: arrays run_ids, places, levels, lines, fields (JSON).
insert into cdc_state.logs (run_id, place, level, line, fields)
select * from unnest(%(run_ids)s::uuid[], %(places)s::text[], %(levels)s::text[], %(lines)s::text[], %(fields)s::json[])
