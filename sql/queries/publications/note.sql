-- Tell cdc.embed which publication the service uses. Parameters: publication.
insert into cdc.service (publication) values (%(publication)s)
on conflict (only_row) do update set publication = excluded.publication
 where cdc.service.publication <> excluded.publication
