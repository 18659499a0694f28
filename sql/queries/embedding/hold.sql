-- Let one service at a time prepare a declaration, and see the model it is pinned to; no row: it was forgotten.
-- Parameters: id. Lock order: this row, then the tables it speaks of.
select model, dimensions from cdc.embeddings where id = %(id)s for no key update
