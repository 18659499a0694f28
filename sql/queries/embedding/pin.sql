-- A target is ready: fix its model and type, and say that nothing is wrong any more.
-- Parameters: id, model, dimensions, vector_type.
update cdc.embeddings
   set model = %(model)s, dimensions = %(dimensions)s, vector_type = %(vector_type)s, problem = null,
       prepared_at = coalesce(prepared_at, now())
 where id = %(id)s
returning prepared_at
