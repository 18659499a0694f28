-- What was measured last, in the last minutes. No parameters.
select distinct on (what, name) what, name, value, extract(epoch from now() - at)::float8
  from cdc_state.gauges
 where width = 60 and at > now() - interval '150 s'
 order by what, name, at desc
