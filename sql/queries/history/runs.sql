-- Look at the next runs that are old enough and delete those that ended long ago, with all that is theirs. A run that
-- was given again to another (replays) stays as long as that one: its events are needed. Ids are made in order of time.
-- Parameters: after (an id), limit, kept and looked (seconds: how long runs are kept, and how young may be looked at).
-- Returns each run looked at, and the events that it still needs. Locks: run rows, skipping locked ones, then others' of
-- runs that ended long ago.
with seen as materialized (
    select id, event_ids
      from cdc_state.runs
     where id > %(after)s::uuid
       and id < (lpad(to_hex((extract(epoch from now() - make_interval(secs => %(looked)s)) * 1000)::bigint), 12, '0')
                 || repeat('0', 20))::uuid
     order by id
     limit %(limit)s
), old as materialized (
    select r.id
      from cdc_state.runs r
     where r.id = any (array(select id from seen))
       and r.ended_at < now() - make_interval(secs => %(kept)s)
       and not exists (select from cdc_state.runs again where again.replays = r.id)
       for update skip locked
), steps as (
    delete from cdc_state.steps where run_id = any (array(select id from old))
), attempts as (
    delete from cdc_state.attempts where run_id = any (array(select id from old))
), logs as (
    delete from cdc_state.logs where run_id = any (array(select id from old))
), metadata as (
    delete from cdc_state.metadata where run_id = any (array(select id from old))
), waits as (
    delete from cdc_state.waits where run_id = any (array(select id from old))
), inferences as (
    delete from cdc_state.inferences where run_id = any (array(select id from old))
), calls as (
    delete from cdc_state.ai_calls where run_id = any (array(select id from old))
), gone as (
    delete from cdc_state.runs where id = any (array(select id from old)) returning id
)
select seen.id::text, case when gone.id is null then seen.event_ids::text[] end
  from seen left join gone on gone.id = seen.id
 order by seen.id
