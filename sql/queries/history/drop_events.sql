-- Delete these events. Parameters: ids. Locks: their rows, skipping locked ones.
with old as materialized (
    select id from cdc_state.events where id = any (%(ids)s::uuid[]) for update skip locked
)
delete from cdc_state.events where id = any (array(select id from old))
