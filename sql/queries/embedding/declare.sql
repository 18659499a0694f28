-- Declare an embedding; see cdc.embed in migrations/source. Parameters: source (as SQL writes a name), columns, target.
select cdc.embed(%(source)s::regclass, %(columns)s::text[], %(target)s::text)
