-- What has become of declarations since they were made. No parameters, no row locks.
select id, live_at, retired_at, index_state, index_reason, indexed_at from cdc.embeddings order by id
