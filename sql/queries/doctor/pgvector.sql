-- The version of pgvector that is installed in this database, and the one that could be; null: none.
select (select extversion from pg_extension where extname = 'vector') as installed,
       (select default_version from pg_available_extensions where name = 'vector') as available
