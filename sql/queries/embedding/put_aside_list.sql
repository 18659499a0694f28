-- Texts put aside, newest first. Parameters: id, limit.
select key::json, reason, failed_at
  from cdc.embedding_errors
 where embedding_id = %(id)s
 order by failed_at desc
 limit %(limit)s
