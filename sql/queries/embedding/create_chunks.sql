-- Make a table for chunks, whose key columns have the types of the source's.
-- Parts: target, key, source, vector (pgvector's type), dimensions.
create table {target} as
select {key}, 0 as ordinal, null::text as chunk, null::{vector}({dimensions}) as embedding, null::bytea as hash,
       now() as updated_at
  from {source}
  with no data
