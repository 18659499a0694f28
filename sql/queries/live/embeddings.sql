-- Something that changes when vectors are made: calls of models, and backfills. What is in the watched database is not
-- looked at. Parameters: none.
select (select max(a.id) from cdc_state.ai_calls a),
       (select string_agg(concat_ws(' ', b.id, b.status, b.rows_done), ',')
          from (select id, status, rows_done from cdc_state.backfills order by id desc limit 50) as b)
