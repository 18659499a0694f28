-- How many rows have their vector.
select count(*) from documents_embeddings
