"""Runs whose time is over are cancelled, whatever their handlers do; their places are free and the worker goes on."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest

from cdc import Context, Debounce, Timeouts, function
from cdc.authoring.function import Function
from cdc.engine import claims
from cdc.maintenance.deadlines import Deadlines
from cdc.store import runs
from cdc.store.connect import Connection, connect
from tests.engine.harness import Engine
from tests.waiting import eventually

FINISH = Timeouts(finish="1h")


def deadlines(engine: Engine) -> Deadlines:
    return Deadlines(lambda: connect(engine.url, autocommit=True), on_runs=engine.wake)


async def time_is_over(engine: Engine) -> None:
    """Set the clock forward: every deadline has passed, and somebody looks."""
    await engine.conn.execute("update cdc_state.runs set deadline = now() where deadline is not null")
    await deadlines(engine).tick()


async def is_free(engine: Engine) -> None:
    """No place is taken at any gate, by nobody."""

    async def is_so() -> bool:
        cursor = await engine.conn.execute(
            "select (select coalesce(sum(taken), 0) from cdc_state.gates where name like 'concurrency/%'),"
            " (select count(*) from cdc_state.runs where placed)"
        )
        return await cursor.fetchone() == (0, 0)

    await eventually(is_so, what="no place is taken")


def stuck(let_go: threading.Event, began: asyncio.Event) -> dict[str, Any]:
    """Handlers that do not end by themselves."""

    async def never_returns(ctx: Context) -> None:
        began.set()
        await asyncio.Event().wait()

    async def swallows(ctx: Context) -> str:
        began.set()
        while not let_go.is_set():
            try:
                await asyncio.sleep(0.05)
            except asyncio.CancelledError:
                continue
        return "as if nothing had happened"

    async def blocks(ctx: Context) -> str:
        began.set()
        await asyncio.to_thread(let_go.wait)
        return "late"

    return {"never returns": never_returns, "swallows the cancellation": swallows, "blocks a thread": blocks}


@pytest.mark.parametrize("kind", ["never returns", "swallows the cancellation", "blocks a thread"])
async def test_a_handler_that_does_not_end_is_cancelled_and_its_place_is_free(engine: Engine, kind: str) -> None:
    let_go, began = threading.Event(), asyncio.Event()
    handler = stuck(let_go, began)[kind]
    slow = function("slow", on="db/users.inserted", concurrency=1, timeouts=FINISH)(handler)
    told: list[dict[str, Any]] = []

    @function("quick", on="db/orders.inserted", concurrency=1)
    async def quick(ctx: Context) -> str:
        return "done"

    @function("ending", on=["inngest/function.cancelled", "inngest/function.finished"])
    async def ending(ctx: Context) -> None:
        told.append({"name": ctx.event.name, **ctx.event.data})

    async with engine.working(slow, quick, ending):
        await engine.send("db/users.inserted", {})
        await asyncio.wait_for(began.wait(), 60)
        await time_is_over(engine)
        await engine.ended(3)
        let_go.set()
        await is_free(engine)
        await engine.send("db/orders.inserted", {})
        await eventually(lambda: any(each["function_id"] == "quick" for each in told))
        runs = await engine.ended(5)

    first = runs[0]
    assert (first["function"], first["status"]) == ("slow", "cancelled")
    assert first["error"]["message"] == "it did not end in time (timeouts.finish)"
    names = [each["name"] for each in told if each["function_id"] == "slow"]
    assert sorted(names) == ["inngest/function.cancelled", "inngest/function.finished"]


def _first_never_ends(began: asyncio.Event) -> Function:
    @function("slow", on="db/users.inserted", timeouts=FINISH)
    async def slow(ctx: Context) -> None:
        if ctx.event.data["new"]["n"] == 0:
            began.set()
            await asyncio.Event().wait()

    return slow


async def test_a_worker_that_is_full_hears_of_it_soon(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(claims, "POLL", 3600.0)
    began = asyncio.Event()
    async with engine.working(_first_never_ends(began), capacity=1):
        await engine.send("db/users.inserted", {"n": 0}, {"n": 1})
        await asyncio.wait_for(began.wait(), 60)
        engine.wake()
        await time_is_over(engine)
        runs = await engine.ended(2)
    assert [run["status"] for run in runs] == ["cancelled", "completed"]


async def test_a_full_worker_that_looks_while_a_run_is_cancelled_looks_again(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(claims, "POLL", 3600.0)
    looked, told, look = asyncio.Event(), asyncio.Event(), runs.cancelled

    async def answers_late(conn: Connection, worker_id: int) -> list[str]:
        found = await look(conn, worker_id)
        looked.set()
        await told.wait()
        return found

    monkeypatch.setattr(runs, "cancelled", answers_late)
    began = asyncio.Event()
    async with engine.working(_first_never_ends(began), capacity=1):
        await engine.send("db/users.inserted", {"n": 0}, {"n": 1})
        await asyncio.wait_for(began.wait(), 60)
        engine.wake()
        await asyncio.wait_for(looked.wait(), 60)
        await time_is_over(engine)
        told.set()
        ended = await engine.ended(2)
    assert [run["status"] for run in ended] == ["cancelled", "completed"]


async def test_a_run_that_blocks_its_event_loop_is_cancelled_meanwhile(engine: Engine) -> None:
    let_go, began = threading.Event(), threading.Event()

    @function("blocks", on="db/users.inserted", concurrency=1, timeouts=FINISH)
    async def blocks(ctx: Context) -> str:
        began.set()
        let_go.wait()
        return "late"

    def elsewhere() -> None:
        """A worker's process, in a thread of its own."""

        async def live() -> None:
            other = Engine(engine.url, engine.conn)
            async with other.working(blocks) as worker:
                others.append((asyncio.get_running_loop(), worker))
                await stopped.wait()

        stopped = asyncio.Event()
        events.append(stopped)
        asyncio.run(live())

    others: list[Any] = []
    events: list[asyncio.Event] = []
    thread = threading.Thread(target=elsewhere)
    thread.start()
    try:
        await eventually(lambda: others)
        await engine.send("db/users.inserted", {})
        loop, worker = others[0]
        loop.call_soon_threadsafe(worker.wake)
        await eventually(began.is_set)
        await time_is_over(engine)
        (run,) = await engine.runs()
        assert run["status"] == "cancelled"
        taken = await engine.conn.execute("select sum(taken) from cdc_state.gates where name like 'concurrency/%'")
        assert await taken.fetchone() == (0,)
        let_go.set()
        loop.call_soon_threadsafe(worker.wake)
        await is_free(engine)
    finally:
        let_go.set()
        others[0][0].call_soon_threadsafe(events[0].set)
        await asyncio.to_thread(thread.join)
    (run,) = await engine.runs()
    assert (run["status"], run["output"]) == ("cancelled", None)


async def test_a_run_that_starts_in_time_may_take_its_time(engine: Engine) -> None:
    @function("slow", on="db/users.inserted", timeouts=Timeouts(start="1h"))
    async def slow(ctx: Context) -> str:
        await ctx.step.sleep("long", "1h")
        return "done"

    async with engine.working(slow):
        await engine.send("db/users.inserted", {})
        await engine.run_is("sleeping")
        await time_is_over(engine)
        (run,) = await engine.ended(hurried=True)
    assert run["status"] == "completed"


async def test_a_run_that_does_not_start_in_time_never_starts(engine: Engine) -> None:
    late = _noted("late", [], timeouts=Timeouts(start="1h"))
    async with engine.working(late):
        pass  # the function is known, and its worker has left
    await engine.send("db/users.inserted", {})
    await time_is_over(engine)
    (run,) = await engine.runs()
    assert run["status"] == "cancelled"
    assert run["error"]["message"] == "it did not start in time (timeouts.start)"


async def test_a_debounced_run_has_its_time_to_start_from_when_it_is_due(engine: Engine) -> None:
    late = _noted("late", [], timeouts=Timeouts(start="1m"), debounce=Debounce("1h"))
    async with engine.working(late):
        for _ in range(2):
            await engine.send("db/users.inserted", {})
            cursor = await engine.conn.execute(
                "select deadline - due_at = '1 m' and due_at > now() from cdc_state.runs"
            )
            assert await cursor.fetchall() == [(True,)]


async def test_what_is_not_overdue_is_left_alone_and_looked_at_in_time(engine: Engine) -> None:
    slow = _noted("slow", [], timeouts=FINISH)
    upkeep = deadlines(engine)
    assert await upkeep.tick() > 1
    async with engine.working(slow):
        assert await upkeep.tick() == 1
        await engine.conn.execute(
            "insert into cdc_state.runs (id, function_id, event_ids, deadline, due_at, rank)"
            " select gen_random_uuid(), 'slow', '{}', now() + n * interval '1 s', 'infinity', 'infinity'"
            " from generate_series(-300, 300, 50) n"
        )
        await upkeep.tick()
        left = await engine.conn.execute("select min(deadline) > now() from cdc_state.runs where ended_at is null")
        assert await left.fetchone() == (True,)
    assert sum(run["status"] == "cancelled" for run in await engine.runs()) == 7


def _noted(id: str, calls: list[str], **options: Any) -> Function:
    @function(id, on="db/users.inserted", **options)
    async def handler(ctx: Context) -> None:
        calls.append(ctx.run_id)

    return handler
