"""Events and waits, both sides by hand: whichever comes first, they meet once."""

from __future__ import annotations

import asyncio
from typing import Any

from cdc import Event
from cdc.events import fulfil
from cdc.events.outbox import Outbox
from cdc.store import journal, runs, server, waits
from cdc.store.journal import StepRecord
from cdc.store.waits import Fulfilled, WaitRecord
from tests.engine.telling import accept
from tests.servers import Connection
from tests.store.state import State, definition

PAID = "app/paid"


def wait_for(run_id: str, step: str = "wait", event: str = PAID) -> WaitRecord:
    return WaitRecord(run_id, step, False, event, None, None, None, {}, 3600.0)


async def claimed(state: State) -> tuple[int, str]:
    await state.register(definition("greet"))
    worker = await state.worker("greet")
    await state.queue(1)
    (run,) = await runs.claim(state.connection, worker, ["greet"], 1)
    return worker, run.id


async def ask(conn: Connection, worker: int, run_id: str, asked: float, step: str = "wait") -> None:
    """Register a wait as the journal does, within the caller's transaction."""
    await waits.lock_names(conn, accepted=(), awaited={PAID})
    record = StepRecord(run_id, step, "wait", wake_in=3600.0)
    assert await journal.write(conn, worker, [record], [])
    await fulfil.catch_up(conn, [wait_for(run_id, step)], [asked])


async def answer(state: State, run_id: str, step: str = "wait") -> Any:
    """The number of the event that answered the step; None when nothing did yet."""
    memo = (await runs.memos(state.connection, [run_id]))[run_id][step]
    return memo.data["data"]["n"] if memo.ended and memo.data else None


async def test_what_was_accepted_after_the_step_asked_is_found_at_the_registration(state: State) -> None:
    worker, run_id = await claimed(state)
    await accept(state.connection, PAID, {"n": 1})
    asked = await server.clock(state.connection)
    await accept(state.connection, PAID, {"n": 2}, {"n": 3})
    async with state.connection.transaction():
        await ask(state.connection, worker, run_id, asked)
    assert await answer(state, run_id) == 2
    assert await state.one("select count(*) from cdc_state.waits") == 0
    assert await state.one("select woken from cdc_state.runs") is True


async def test_what_was_accepted_before_the_step_asked_does_not_count(state: State) -> None:
    worker, run_id = await claimed(state)
    await accept(state.connection, PAID, {"n": 1})
    asked = await server.clock(state.connection)
    async with state.connection.transaction():
        await ask(state.connection, worker, run_id, asked)
    assert await answer(state, run_id) is None
    assert await state.one("select count(*) from cdc_state.waits") == 1


async def test_a_registration_waits_for_an_accept_under_way_and_finds_its_event(state: State) -> None:
    worker, run_id = await claimed(state)
    other = await state.connect(state.url)
    asked = await server.clock(state.connection)
    async with other.transaction():
        await accept(other, PAID, {"n": 1})

        async def register() -> None:
            async with state.connection.transaction():
                await ask(state.connection, worker, run_id, asked)

        registering = asyncio.create_task(register())
        watcher = State(state.url, await state.connect(state.url), state.connect)
        await watcher.waits_for_a_lock(state.connection)
    await registering
    assert await answer(state, run_id) == 1


async def test_an_accept_waits_for_a_registration_under_way_and_answers_it(state: State) -> None:
    worker, run_id = await claimed(state)
    other = await state.connect(state.url)
    asked = await server.clock(state.connection)
    async with state.connection.transaction():
        await ask(state.connection, worker, run_id, asked)
        accepting = asyncio.create_task(accept(other, PAID, {"n": 1}))
        watcher = State(state.url, await state.connect(state.url), state.connect)
        await watcher.waits_for_a_lock(other)
    await accepting
    assert await answer(state, run_id) == 1


async def test_accepts_of_one_name_do_not_wait_for_each_other(state: State) -> None:
    await claimed(state)
    other = await state.connect(state.url)
    async with other.transaction():
        await accept(other, PAID, {"n": 1})
        await asyncio.wait_for(accept(state.connection, PAID, {"n": 2}), 60)


async def test_of_expiry_and_arrival_the_first_to_commit_is_the_answer(state: State) -> None:
    worker, run_id = await claimed(state)
    other = await state.connect(state.url)
    watcher = State(state.url, await state.connect(state.url), state.connect)
    asked = await server.clock(state.connection)
    async with state.connection.transaction():
        await ask(state.connection, worker, run_id, asked, "expires")
        await ask(state.connection, worker, run_id, asked, "arrives")
    await state.connection.execute("update cdc_state.steps set wake_at = now() where id = 'expires'")
    async with state.connection.transaction():
        await runs.expire_waits(state.connection, [run_id])
        accepting = asyncio.create_task(accept(other, PAID, {"n": 1}))
        await watcher.waits_for_a_lock(other)
    await accepting
    assert await answer(state, run_id, "expires") is None
    assert await answer(state, run_id, "arrives") == 1
    await state.connection.execute("update cdc_state.steps set wake_at = now()")
    await runs.expire_waits(state.connection, [run_id])
    memos = (await runs.memos(state.connection, [run_id]))[run_id]
    assert {step: (memo.ended, memo.data and memo.data["data"]) for step, memo in memos.items()} == {
        "expires": (True, None),
        "arrives": (True, {"n": 1}),
    }


async def test_an_arrival_under_way_is_not_overtaken_by_the_expiry(state: State) -> None:
    worker, run_id = await claimed(state)
    other = await state.connect(state.url)
    asked = await server.clock(state.connection)
    async with state.connection.transaction():
        await ask(state.connection, worker, run_id, asked)
    watcher = State(state.url, await state.connect(state.url), state.connect)
    async with other.transaction():
        await accept(other, PAID, {"n": 1})
        expiring = asyncio.create_task(_expire(state, run_id))
        await watcher.waits_for_a_lock(state.connection)
    await expiring
    assert await answer(state, run_id) == 1


async def _expire(state: State, run_id: str) -> None:
    async with state.connection.transaction():
        await state.connection.execute("select from cdc_state.steps where ended_at is null for update")
        await state.connection.execute("update cdc_state.steps set wake_at = now() where ended_at is null")
        await runs.expire_waits(state.connection, [run_id])


async def test_a_registration_that_is_repeated_does_not_wait_again_for_what_has_come(state: State) -> None:
    worker, run_id = await claimed(state)
    asked = await server.clock(state.connection)
    for _ in range(2):
        async with state.connection.transaction():
            await ask(state.connection, worker, run_id, asked)
        await accept(state.connection, PAID, {"n": 1})
    assert await answer(state, run_id) == 1
    assert await state.one("select count(*) from cdc_state.waits") == 0


async def test_a_cancelled_run_registers_nothing(state: State) -> None:
    worker, run_id = await claimed(state)
    asked = await server.clock(state.connection)
    async with state.connection.transaction():
        await Outbox().cancel(state.connection, {run_id: "somebody said so"})
    async with state.connection.transaction():
        await ask(state.connection, worker, run_id, asked)
    assert await state.one("select count(*) from cdc_state.waits") == 0


async def test_a_wait_that_is_answered_twice_keeps_its_first_answer(state: State) -> None:
    worker, run_id = await claimed(state)
    asked = await server.clock(state.connection)
    async with state.connection.transaction():
        await ask(state.connection, worker, run_id, asked)
    for number in (1, 2):
        event = Event(PAID, {"n": number}, str(number), 1)
        await waits.fulfil(state.connection, [Fulfilled(run_id, "wait", event)])
    assert await answer(state, run_id) == 1


async def test_a_signal_has_one_waiting_step(state: State) -> None:
    worker, run_id = await claimed(state)
    signal = "cdc/signal.mine"
    records = [StepRecord(run_id, step, "wait", wake_in=60.0) for step in ("a", "b")]
    async with state.connection.transaction():
        await waits.lock_names(state.connection, accepted=(), awaited={signal})
        assert await journal.write(state.connection, worker, records, [])
        taken = await waits.register(state.connection, [wait_for(run_id, step, signal) for step in ("a", "b")])
        again = await waits.register(state.connection, [wait_for(run_id, step, signal) for step in ("a", "b")])
    (loser,) = {step for _, step in taken}
    assert again == taken
    assert await state.rows("select id from cdc_state.waits") == [({"a": "b", "b": "a"}[loser],)]


async def test_a_thousand_names_take_no_more_locks_than_the_server_has(state: State) -> None:
    async with state.connection.transaction():
        await waits.lock_names(
            state.connection,
            accepted=[f"app/{number}" for number in range(20_000)],
            awaited=[f"cdc/signal.{number}" for number in range(20_000)],
        )
        assert (
            await state.one("select count(*) from pg_locks where locktype = 'advisory' and pid = pg_backend_pid()")
            <= 257  # the names', and the one of all
        )
