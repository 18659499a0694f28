-- Let searches read one declaration from now on, and none of those before it in a row of successors; how many it took
-- the place of. Null: it is live already, or forgotten. Parameters: id. Locks: the declarations' rows.
with recursive before (id) as (
    select e.replaces from cdc.embeddings e where e.id = %(id)s
     union
    select e.replaces from cdc.embeddings e join before b on b.id = e.id
),
live as (
    update cdc.embeddings e set live_at = now(), retired_at = null
     where e.id = %(id)s and e.live_at is null
    returning 1
),
retired as (
    update cdc.embeddings e set live_at = null, retired_at = now()
      from before b
     where e.id = b.id and e.id <> %(id)s and e.retired_at is null and exists (select from live)
    returning 1
)
select case when exists (select from live) then (select count(*) from retired) end
