-- The session in which values have the text forms of the stream (cdc/wal/connection.py), and in which a policy that
-- hides rows is an error: hidden rows would be missed without a word.
select set_config('DateStyle', 'ISO', false), set_config('IntervalStyle', 'iso_8601', false),
       set_config('TimeZone', 'UTC', false), set_config('extra_float_digits', '1', false),
       set_config('bytea_output', 'hex', false), set_config('row_security', 'off', false)
