-- Who owns a publication; no row: there is none. Parameters: publication.
select pg_get_userbyid(pubowner)::text from pg_publication where pubname = %(publication)s
