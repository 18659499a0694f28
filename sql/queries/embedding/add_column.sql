-- Make a target column; nothing is rewritten. Parts: source, column, vector (pgvector's type), dimensions.
-- Locks: the table, in ACCESS EXCLUSIVE mode: set a lock_timeout first.
alter table {source} add column {column} {vector}({dimensions})
