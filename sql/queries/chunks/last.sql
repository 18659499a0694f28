-- The greatest key. Parts: {key_text}, {table}, {filter}, {key_down}.
select {key_text} from {table} as s where {filter} order by {key_down} limit 1
