-- The tables of a publication. Parameters: publication.
select schemaname, tablename from pg_publication_tables where pubname = %(publication)s
