-- Something that changes when one run does; while it executes, with every second. Parameters: id.
select r.status, r.claims, r.failures, r.started_at, r.ended_at, r.due_at::text, r.held_at, r.woken,
       case when r.status = 'running' then date_trunc('second', clock_timestamp()) end,
       (select concat_ws(' ', count(*), sum(s.attempts), max(s.started_at), max(s.ended_at), max(s.wake_at))
          from cdc_state.steps s where s.run_id = r.id),
       (select concat_ws(' ', count(*), max(a.ended_at)) from cdc_state.attempts a where a.run_id = r.id),
       (select count(*) from cdc_state.waits w where w.run_id = r.id),
       (select max(l.number) from cdc_state.logs l where l.run_id = r.id),
       (select max(m.number) from cdc_state.metadata m where m.run_id = r.id),
       (select count(*) from cdc_state.ai_calls c where c.run_id = r.id),
       (select max(again.id::text) from cdc_state.runs again where again.replays = r.id)
  from cdc_state.runs r where r.id = %(id)s
