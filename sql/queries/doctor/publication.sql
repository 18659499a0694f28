-- A publication; no row: there is none. Parameters: publication.
select puballtables, pubinsert and pubupdate and pubdelete and pubtruncate
  from pg_publication where pubname = %(publication)s
