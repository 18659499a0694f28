-- Let an HNSW index give as many rows as are asked for (it stops at 40), until the transaction ends.
-- Parameters: candidates, 1 to 1000.
select set_config('hnsw.ef_search', %(candidates)s::integer::text, true)
