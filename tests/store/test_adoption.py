"""What becomes of unfinished runs where a copy is adopted."""

from __future__ import annotations

from cdc.store import adoption
from tests.store.state import State


async def test_everything_unfinished_ends_silently_and_what_has_ended_stays(state: State) -> None:
    run_ids = await state.queue(5)
    for run_id, status in zip(run_ids, ("queued", "running", "sleeping", "waiting", "completed"), strict=True):
        await state.connection.execute(
            "update cdc_state.runs set status = %s, ended_at = case when %s = 'completed' then now() end where id = %s",
            [status, status, run_id],
        )
    await state.connection.execute(
        "insert into cdc_state.waits (run_id, id, cancels, event, expires_at) values (%s, 'w', false, 'e', now())",
        [run_ids[3]],
    )
    await state.connection.execute("insert into cdc_state.schedules values ('f', '* * * * *', 'UTC', now())")
    await state.connection.execute("insert into cdc_state.gates (name, taken) values ('concurrency/0/f/', 1)")
    events, _, _ = await state.counts()

    async with state.connection.transaction():
        assert await adoption.cancel_everything(state.connection) == 4

    assert [(await state.statuses())[run_id][0] for run_id in run_ids] == ["cancelled"] * 4 + ["completed"]
    for table in ("waits", "schedules", "gates"):
        assert await state.one(f"select count(*) from cdc_state.{table}") == 0
    assert (await state.counts())[0] == events
    assert await state.one("select count(*) from cdc_state.runs where error->>'name' = 'RunCancelled'") == 4
