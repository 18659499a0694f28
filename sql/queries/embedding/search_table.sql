-- The rows nearest to a vector, with their source's columns. The inner query is what an index can serve.
-- Parameters: words: a vector; limit. Parts: cdc/store/parts.py.
select array[{s_key_text}], array[{s_columns_text}], nearest.cdc_distance
  from {source} s
  join (select {t_key}, t.embedding {distance} %(words)b as cdc_distance
          from {target} t
         order by t.embedding {distance} %(words)b
         limit %(limit)s) nearest on ({s_key}) = ({nearest_key})
 order by nearest.cdc_distance
