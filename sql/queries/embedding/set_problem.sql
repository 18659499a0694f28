-- Say why a declaration cannot be served. Parameters: id, problem.
update cdc.embeddings set problem = %(problem)s where id = %(id)s and problem is distinct from %(problem)s
