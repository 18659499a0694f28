-- A publication; no row: there is none. Parameters: publication.
select puballtables from pg_publication where pubname = %(publication)s
