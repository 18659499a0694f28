-- Rows by their keys, as far as these lie outside of what is still to be read.
-- Parameters: again_0, again_1 ... (arrays), after_0 ..., until_0 ....
-- Parts: {columns}, {table}, {arrays}, {names}, {same}, {outside}, {filter}.
select {columns} from {table} as s
  join unnest({arrays}) as again ({names}) on {same}
 where {outside} and {filter}
