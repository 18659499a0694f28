-- Begin a new incarnation of a source at a slot's consistent point.
-- Parameters: name, system_identifier, timeline, slot, lsn.
with opened as (
    insert into cdc_state.sources (name, system_identifier, timeline, slot)
    values (%(name)s, %(system_identifier)s, %(timeline)s, %(slot)s)
    returning id
)
insert into cdc_state.checkpoints (source_id, commit_lsn, ordinal, end_lsn)
select id, '0/0', -1, %(lsn)s::pg_lsn from opened
returning source_id
