-- How many rows have a text that was put aside, by declaration. No parameters.
select embedding_id, count(distinct key) from cdc.embedding_errors group by embedding_id
