"""Steps that apps tell of, beside whoever moves their run at the same time."""

from __future__ import annotations

import asyncio

import pytest

from cdc.store import runs, workers
from cdc.store.reported import Recorded, Report, Told, record
from tests.servers import Connect
from tests.store.state import State, open_state

NOTHING = Recorded(frozenset(), frozenset())


@pytest.fixture
async def state(migrated_url: str, connect: Connect) -> State:
    return await open_state(migrated_url, connect)


async def report(state: State, *keys: str) -> Report:
    worker_id = await state.worker("greet")
    await state.queue(1)
    (run,) = await runs.claim(state.connection, worker_id, ["greet"], 1)
    return Report(run.id, worker_id, run.claims, [Told(key, "run", "1") for key in keys])


async def test_a_run_that_is_being_moved_is_waited_for_and_then_left_alone(state: State) -> None:
    told = await report(state, "a")
    mover, teller = await state.connect(state.url), await state.connect(state.url)
    async with mover.transaction():
        await mover.execute("update cdc_state.runs set status = 'waiting', worker_id = null")
        telling = asyncio.create_task(record(teller, [told]))
        await state.waits_for_a_lock(teller)
    assert await telling == NOTHING
    assert await state.one("select count(*) from cdc_state.steps") == 0


async def test_a_worker_leaves_only_when_what_was_told_under_its_lease_is_recorded(state: State) -> None:
    told = await report(state, "a", "b")
    leaver, teller = await state.connect(state.url), await state.connect(state.url)
    async with teller.transaction():
        recorded = await record(teller, [told])
        leaving = asyncio.create_task(workers.leave(leaver, [told.worker_id]))
        await state.waits_for_a_lock(leaver)
    assert recorded == Recorded(frozenset({told.run_id}), frozenset({(told.run_id, "a"), (told.run_id, "b")}))
    assert await leaving == 1
    assert await record(teller, [told]) == NOTHING
    assert await state.rows("select id from cdc_state.steps order by ended_at") == [("a",), ("b",)]


async def test_steps_ended_in_the_order_in_which_they_were_told(state: State) -> None:
    told = await report(state, *(f"{number:02}" for number in reversed(range(50))))
    await record(state.connection, [told])
    assert await state.rows("select id from cdc_state.steps order by ended_at") == [(step.id,) for step in told.steps]


async def test_many_tell_of_runs_in_any_order_and_none_waits_for_ever(state: State) -> None:
    told = [await report(state, "a") for _ in range(100)]
    tellers = [await state.connect(state.url) for _ in range(2)]
    turns = [record(teller, told[::order]) for teller, order in zip(tellers, (1, -1), strict=True)]
    first, second = await asyncio.gather(*turns)
    assert first.held == second.held == {each.run_id for each in told}
    assert first.steps | second.steps == {(each.run_id, "a") for each in told}
    assert not first.steps & second.steps
