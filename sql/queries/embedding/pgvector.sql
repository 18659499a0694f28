-- The schema that pgvector is installed in, null when it is not, and whether the server has it to install.
select (select n.nspname::text from pg_extension x join pg_namespace n on n.oid = x.extnamespace
         where x.extname = 'vector') as schema,
       exists (select from pg_available_extensions where name = 'vector') as available
