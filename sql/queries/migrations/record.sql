-- Remember one applied migration. Parameters: {schema}, name, checksum.
insert into {schema}.migrations (name, checksum) values (%(name)s, %(checksum)s)
