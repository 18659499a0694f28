-- Let one service at a time prepare a declaration, and see what it is pinned to; no row: it was forgotten.
-- Parameters: id. Lock order: this row, then the tables it speaks of.
select model, dimensions, coalesce(vector_type, 'vector') as vector_type, vector_type is null as any_type, prepared_at
  from cdc.embeddings
 where id = %(id)s for no key update
