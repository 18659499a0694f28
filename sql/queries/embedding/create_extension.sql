-- Install pgvector in this database.
create extension if not exists vector
