-- An incarnation goes on on another timeline of its server; whoever listens on the old one is refused from now on.
-- No row: it is not on that timeline any more. Parameters: source_id, before, after (timelines).
-- Locks: the source's row, then the checkpoint row.
with moved as (
    update cdc_state.sources set timeline = %(after)s
     where id = %(source_id)s and timeline = %(before)s and retired_at is null
    returning id
)
update cdc_state.checkpoints c set epoch = epoch + 1
  from moved
 where c.source_id = moved.id
returning c.source_id, c.epoch, c.commit_lsn::text, c.ordinal, c.end_lsn::text
