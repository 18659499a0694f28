-- The rows nearest to a vector, with their columns; written so that an index can serve it.
-- Parameters: words: a vector; limit. Parts: cdc/store/parts.py.
select array[{s_key_text}], array[{s_columns_text}], s.{column} {distance} %(words)b
  from {source} s
 where s.{column} is not null
 order by s.{column} {distance} %(words)b
 limit %(limit)s
