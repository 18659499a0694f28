-- Drop a table of vectors. Parts: {target}.
drop table if exists {target}
