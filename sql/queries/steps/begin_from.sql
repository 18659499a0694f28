-- Give a new run what the run that it replays had recorded when one of its steps began: the steps that had ended by then,
-- and the sleeps that were over, without answers of models that were not kept (CDC_AI_CONTENT=drop). That step has an edited
-- input, if one is given. The run counts as claimed once, so that whoever claims it looks for memos.
-- Parameters: run_id, replays, step, input (JSON; null: its code's). Locks: the run's row, made in this transaction.
with first as (
    select kind, started_at from cdc_state.steps where run_id = %(replays)s and id = %(step)s
), copied as (
    insert into cdc_state.steps (run_id, id, kind, attempts, input, edited, data, error, wake_at, started_at, ended_at)
    select %(run_id)s, s.id, s.kind, s.attempts, s.input, s.edited, s.data, s.error, s.wake_at, s.started_at, s.ended_at
      from cdc_state.steps s, first
     where s.run_id = %(replays)s and s.id <> %(step)s
       and case s.kind when 'sleep' then s.wake_at else s.ended_at end <= first.started_at
       and not (s.kind in ('wrap', 'infer') and s.data is null and s.error is null)
), edited as (
    insert into cdc_state.steps (run_id, id, kind, input, edited, started_at)
    select %(run_id)s, %(step)s, first.kind, %(input)s, true, now() from first where %(input)s::json is not null
)
update cdc_state.runs set claims = 1 where id = %(run_id)s
