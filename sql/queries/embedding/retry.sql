-- Try refused texts again; see cdc.retry_embeddings in migrations/source. Parameters: source (as SQL writes a name),
-- target, key.
select cdc.retry_embeddings(%(source)s::regclass, %(target)s::text, %(key)s::text)
