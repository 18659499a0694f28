"""The journal's statement: all or nothing, behind the fence, and what is recorded stays."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from datetime import UTC, datetime

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cdc.store import journal, runs, workers
from cdc.store.journal import RunRecord, StepRecord
from cdc.store.runs import ClaimedRun, Memo
from tests.store.state import State

GREET = ["greet"]


def done(run_id: str, step: str = "a", data: object = 1) -> StepRecord:
    return StepRecord(run_id, step, attempts=1, data=json.dumps(data), ended=True)


def completed(run_id: str, claims: int = 1) -> RunRecord:
    return RunRecord(run_id, claims, "completed", 0, output='"done"')


async def claimed(state: State, count: int) -> tuple[int, list[str]]:
    """A worker that holds so many runs."""
    worker = await state.worker("greet")
    await state.queue(count)
    return worker, [run.id for run in await runs.claim(state.connection, worker, GREET, count)]


async def memos(state: State, run_id: str) -> dict[str, Memo]:
    return (await runs.memos(state.connection, [run_id])).get(run_id, {})


async def test_steps_and_runs_are_written_together(any_state: State) -> None:
    state = any_state
    worker, (first, second) = await claimed(state, 2)
    records = [done(first, "a", {"x": None}), done(first, "b", []), done(second)]
    assert await journal.write(state.connection, worker, records, [completed(first)])
    assert await memos(state, first) == {
        "a": Memo("run", 1, {"x": None}, None, True, None),
        "b": Memo("run", 1, [], None, True, None),
    }
    assert await state.statuses() == {first: ("completed", None), second: ("running", worker)}
    assert await state.one("select output from cdc_state.runs where ended_at is not null") == "done"


async def test_an_empty_batch_tells_whether_the_lease_stands(state: State) -> None:
    worker, _ = await claimed(state, 1)
    assert await journal.write(state.connection, worker, [], [])
    await workers.leave(state.connection, [worker])
    assert not await journal.write(state.connection, worker, [], [])


async def test_without_a_lease_nothing_is_written(any_state: State) -> None:
    state = any_state
    worker, (run_id,) = await claimed(state, 1)
    await workers.leave(state.connection, [worker])
    successor = await state.worker("greet")
    await runs.claim(state.connection, successor, GREET, 1)
    assert not await journal.write(state.connection, worker, [done(run_id)], [completed(run_id)])
    assert await memos(state, run_id) == {}
    assert await state.statuses() == {run_id: ("running", successor)}


async def test_a_run_is_moved_only_by_the_worker_that_holds_it(state: State) -> None:
    _, (run_id,) = await claimed(state, 1)
    other, _ = await claimed(state, 0)
    assert await journal.write(state.connection, other, [], [completed(run_id)])
    assert (await state.statuses())[run_id][0] == "running"


async def test_a_repeated_batch_does_not_take_a_run_away_from_a_later_claim(any_state: State) -> None:
    state = any_state
    worker, (run_id,) = await claimed(state, 1)
    batch = [RunRecord(run_id, 1, "queued", 1, due_in=0.0)]
    await journal.write(state.connection, worker, [], batch)
    assert [run.claims for run in await runs.claim(state.connection, worker, GREET, 1)] == [2]
    assert await journal.write(state.connection, worker, [], batch)
    assert await state.statuses() == {run_id: ("running", worker)}
    await journal.write(state.connection, worker, [], [completed(run_id, 2)])
    assert await state.statuses() == {run_id: ("completed", None)}


async def test_an_ended_run_is_never_moved_again(state: State) -> None:
    worker, (run_id,) = await claimed(state, 1)
    await journal.write(state.connection, worker, [], [completed(run_id)])
    await journal.write(state.connection, worker, [], [RunRecord(run_id, 1, "failed", 1, error='{"name": "x"}')])
    await journal.write(state.connection, worker, [], [RunRecord(run_id, 1, "queued", 0, due_in=0.0)])
    assert await state.statuses() == {run_id: ("completed", None)}


async def test_a_recorded_step_is_never_changed(any_state: State) -> None:
    state = any_state
    worker, (run_id,) = await claimed(state, 1)
    first = done(run_id, "a", "first")
    await journal.write(state.connection, worker, [first], [])
    recorded = await state.rows("select * from cdc_state.steps")
    for later in (done(run_id, "a", "second"), first._replace(data=None, error='{"name": "x"}', attempts=2)):
        await journal.write(state.connection, worker, [later], [])
        await journal.write(state.connection, worker, [later._replace(ended=False)], [])
    assert await state.rows("select * from cdc_state.steps") == recorded


async def test_an_attempt_is_followed_by_others_until_the_step_has_ended(state: State) -> None:
    worker, (run_id,) = await claimed(state, 1)
    for attempt in (1, 2):
        failed = StepRecord(run_id, "a", attempts=attempt, error='{"name": "E", "message": "no"}')
        await journal.write(state.connection, worker, [failed], [])
        assert await memos(state, run_id) == {
            "a": Memo("run", attempt, None, {"name": "E", "message": "no"}, False, None)
        }
    await journal.write(state.connection, worker, [done(run_id)._replace(attempts=3)], [])
    assert await memos(state, run_id) == {"a": Memo("run", 3, 1, None, True, None)}


def failed(run_id: str, attempt: int, message: str = "no", *, counted: bool = True) -> StepRecord:
    error = json.dumps({"name": "E", "message": message})
    return StepRecord(run_id, "a", attempts=attempt - (not counted), error=error, took=2.0, wake_in=0.0, kept=attempt)


async def kept(state: State) -> list[tuple[str, int, str | None]]:
    return [
        tuple(row)
        for row in await state.rows(
            "select step_id, attempt, error->>'message' from cdc_state.attempts order by step_id, attempt"
        )
    ]


async def test_failed_attempts_of_a_step_are_kept_and_a_repeated_batch_changes_none(any_state: State) -> None:
    state = any_state
    worker, (run_id,) = await claimed(state, 1)
    batches = [[failed(run_id, 1)], [failed(run_id, 2, "still no")], [done(run_id)._replace(attempts=3, kept=3)]]
    for batch in batches:
        await journal.write(state.connection, worker, batch, [])
        written = await state.rows("select * from cdc_state.attempts order by attempt")
        await journal.write(state.connection, worker, batch, [])
        assert await state.rows("select * from cdc_state.attempts order by attempt") == written
    assert await kept(state) == [("a", 1, "no"), ("a", 2, "still no"), ("a", 3, None)]
    assert await state.one("select bool_and(ended_at - started_at = '2 s') from cdc_state.attempts where attempt < 3")


async def test_an_attempt_that_does_not_count_makes_way_for_the_next(state: State) -> None:
    worker, (run_id,) = await claimed(state, 1)
    for record in (failed(run_id, 1, "away", counted=False), failed(run_id, 1, "back"), failed(run_id, 2, "done")):
        await journal.write(state.connection, worker, [record], [])
    assert await kept(state) == [("a", 1, "back"), ("a", 2, "done")]


async def test_the_handlers_attempts_are_kept_only_by_who_holds_the_run(any_state: State) -> None:
    state = any_state
    worker, (run_id,) = await claimed(state, 1)
    again = RunRecord(run_id, 1, "queued", 1, error='{"message": "no"}', due_in=0.0, kept=1, took=0.5)
    other, _ = await claimed(state, 0)
    await journal.write(state.connection, other, [], [again])
    await journal.write(state.connection, worker, [], [again._replace(claims=0)])
    assert await kept(state) == []
    await journal.write(state.connection, worker, [], [again])
    await journal.write(state.connection, worker, [], [again._replace(error='{"message": "late"}')])
    assert await kept(state) == [("", 1, "no")]


async def test_without_a_lease_no_attempt_is_kept(state: State) -> None:
    worker, (run_id,) = await claimed(state, 1)
    await workers.leave(state.connection, [worker])
    over = completed(run_id)._replace(status="failed", error='{"message": "no"}', kept=1)
    assert not await journal.write(state.connection, worker, [failed(run_id, 1)], [over])
    assert await kept(state) == []


async def test_a_sleep_keeps_its_first_end(state: State) -> None:
    worker, (run_id,) = await claimed(state, 1)
    until = datetime(2036, 1, 2, 3, 4, 5, tzinfo=UTC)
    for sleep in (
        StepRecord(run_id, "until", "sleep", wake_at=until, wake_in=1.0),
        StepRecord(run_id, "for", "sleep", wake_in=3600.0),
    ):
        await journal.write(state.connection, worker, [sleep], [])
        await journal.write(state.connection, worker, [sleep._replace(wake_at=None, wake_in=5.0)], [])
    assert await state.one("select wake_at from cdc_state.steps where id = 'until'") == until
    assert 3000 < ((await memos(state, run_id))["for"].due_in or 0) <= 3600


async def test_one_bad_record_leaves_nothing_of_its_batch(state: State) -> None:
    worker, (first, second) = await claimed(state, 2)
    bad = RunRecord(second, 1, "nowhere", 0)
    with pytest.raises(psycopg.errors.CheckViolation):
        await journal.write(state.connection, worker, [done(first)], [completed(first), bad])
    with pytest.raises(psycopg.errors.InvalidTextRepresentation):
        await journal.write(state.connection, worker, [done(first), StepRecord(first, "b", data="{")], [])
    assert await memos(state, first) == {}
    assert set((await state.statuses()).values()) == {("running", worker)}


# What json takes and a text column, too: anything but lone surrogates; \u0000 is an escape in JSON.
texts = st.text(st.characters(codec="utf-8"))
step_ids = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1)


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(written=st.dictionaries(step_ids, st.lists(texts), max_size=5))
async def test_memos_are_read_as_they_were_written(state: State, written: dict[str, list[str]]) -> None:
    worker, (run_id,) = await claimed(state, 1)
    await journal.write(state.connection, worker, [done(run_id, key, data) for key, data in written.items()], [])
    assert {key: memo.data for key, memo in (await memos(state, run_id)).items()} == written
    await workers.leave(state.connection, [worker])
    await state.rows("delete from cdc_state.runs returning 1")


async def test_a_batch_waits_for_a_rescue_under_way_and_is_refused(any_state: State) -> None:
    state = any_state
    worker, (run_id,) = await claimed(state, 1)
    rescuer, writer = await state.connect(state.url), await state.connect(state.url)
    async with rescuer.transaction():
        await workers.leave(rescuer, [worker])
        writing = asyncio.create_task(journal.write(writer, worker, [done(run_id)], [completed(run_id)]))
        await state.waits_for_a_lock(writer)
    assert not await writing
    assert await memos(state, run_id) == {}
    assert await state.statuses() == {run_id: ("queued", None)}


async def test_a_rescue_waits_for_a_batch_under_way_which_is_wholly_in(any_state: State) -> None:
    state = any_state
    worker, (first, second) = await claimed(state, 2)
    rescuer, writer = await state.connect(state.url), await state.connect(state.url)
    async with writer.transaction():
        assert await journal.write(writer, worker, [done(first), done(second)], [completed(first)])
        rescuing = asyncio.create_task(workers.leave(rescuer, [worker]))
        await state.waits_for_a_lock(rescuer)
    assert await rescuing == 1
    assert await state.statuses() == {first: ("completed", None), second: ("queued", None)}
    assert len(await memos(state, first)) == len(await memos(state, second)) == 1


async def test_batches_claims_and_rescues_at_full_tilt_neither_deadlock_nor_lose_a_memo(state: State) -> None:
    """The lease of any worker is ended at any moment: its batch is wholly in, or refused, and the run goes on."""
    wanted = await state.queue(1000)

    async def unended() -> bool:
        return bool(await state.rows("select from cdc_state.runs where status <> 'completed' limit 1"))

    async def work(order: int) -> None:
        connection = await state.connect(state.url)
        while await unended():
            worker = await state.worker("greet")
            mine: Sequence[ClaimedRun] = [ClaimedRun("", "", [], 0, 0)]
            while mine and await journal.write(connection, worker, [], []):
                mine = (await runs.claim(connection, worker, GREET, 8))[::order]
                await journal.write(connection, worker, [done(run.id) for run in mine], [])
                await journal.write(connection, worker, [], [completed(run.id, run.claims) for run in mine])

    async def rescue() -> None:
        connection = await state.connect(state.url)
        while await unended():
            await workers.leave(connection, await state.one("select array(select id from cdc_state.workers limit 2)"))

    async with asyncio.timeout(100):
        await asyncio.gather(work(1), work(-1), work(1), work(-1), rescue())
    ended = await state.rows("select run_id::text, count(*) from cdc_state.steps where ended_at is not null group by 1")
    assert sorted(ended) == [(run_id, 1) for run_id in wanted]
