-- A publication; no row: there is none. Parameters: publication.
select puballtables, pubviaroot, to_jsonb(p) ->> 'pubgencols' as generated, pg_has_role(pubowner, 'USAGE') as is_ours
  from pg_publication p where pubname = %(publication)s
