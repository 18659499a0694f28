-- Drop a column of vectors. Parts: {target} (its table), {column}.
alter table {target} drop column if exists {column}
