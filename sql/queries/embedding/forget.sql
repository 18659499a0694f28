-- Forget declarations; see cdc.unembed in migrations/source. Parameters: source (as SQL writes a name), target.
select cdc.unembed(%(source)s::regclass, %(target)s::text)
