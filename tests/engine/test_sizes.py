"""Large results and long runs."""

from __future__ import annotations

import asyncio
import gc
from collections import Counter
from collections.abc import Sequence
from typing import Any

import pytest

from cdc import Context, function
from cdc.engine.journal import MOST_BYTES
from cdc.engine.memo import LARGEST
from cdc.engine.steps import LiveSteps
from cdc.store import journal as store
from cdc.store import runs
from cdc.store.connect import Connection
from cdc.store.journal import StepRecord
from cdc.store.queries import text
from tests.engine.harness import Engine
from tests.waiting import eventually

STEPS = 1000
ASLEEP = 4_000

QUOTES = 2
"""Bytes that a text has more as JSON."""


@pytest.mark.parametrize("size", [200_000, LARGEST - QUOTES], ids=["200 kB", "the limit"])
async def test_a_large_result_is_the_same_live_and_replayed(engine: Engine, size: int) -> None:
    ran: Counter[str] = Counter()
    seen: list[str] = []

    async def large() -> str:
        ran["large"] += 1
        return "x" * size

    async def small() -> str:
        ran["small"] += 1
        return "y"

    @function("large", on="db/users.inserted")
    async def handler(ctx: Context) -> str:
        seen.append(await ctx.step.run("large", large))
        return await ctx.step.run("small", small) + seen[-1][QUOTES:] + "z"

    async with engine.working(handler):
        await engine.send("db/users.inserted", {})
        (run,) = await engine.ended()

    assert (run["status"], run["error"]) == ("completed", None)
    assert run["output"] == "y" + "x" * (size - QUOTES) + "z"
    assert all(result == "x" * size for result in seen)
    assert ran == {"large": 1, "small": 1}


async def test_a_result_above_the_limit_fails_its_step_at_once_and_may_be_caught(engine: Engine) -> None:
    attempts: list[int] = []

    async def too_large() -> str:
        attempts.append(1)
        return "x" * (LARGEST - QUOTES + 1)

    @function("too-large", on="db/users.inserted", retries=5)
    async def handler(ctx: Context) -> None:
        await ctx.step.run("export-all", too_large)

    async with engine.working(handler):
        await engine.send("db/users.inserted", {})
        (run,) = await engine.ended()

    assert run["status"] == "failed"
    assert "'export-all' is 4,194,305 bytes of JSON; the limit is 4,194,304" in run["error"]["message"]
    assert "Store the value elsewhere" in run["error"]["message"]
    assert attempts == [1]


async def test_large_results_of_one_moment_go_into_batches_that_postgres_can_take(
    live_engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    batches: list[int] = []
    write = store.write

    async def watched(conn: Connection, worker_id: int, steps: Sequence[StepRecord], *rest: Any) -> Any:
        batches.append(sum(len(step.data or "") for step in steps))
        return await write(conn, worker_id, steps, *rest)

    monkeypatch.setattr(store, "write", watched)

    async def large() -> str:
        return "x" * (LARGEST - QUOTES)

    @function("wide", on="db/users.inserted")
    async def handler(ctx: Context) -> int:
        results = await asyncio.gather(*(ctx.step.run(f"large-{item}", large) for item in range(20)))
        return sum(map(len, results))

    async with live_engine.working(handler):
        await live_engine.send("db/users.inserted", {})
        (run,) = await live_engine.ended(within=120)

    assert (run["status"], run["output"]) == ("completed", 20 * (LARGEST - QUOTES))
    assert sum(batches) == 20 * LARGEST
    assert max(batches) == MOST_BYTES == 4 * LARGEST


async def double(value: int) -> int:
    return value * 2


async def test_a_run_of_a_thousand_steps_records_each_of_them(live_engine: Engine) -> None:
    @function("long", on="db/users.inserted")
    async def handler(ctx: Context) -> int:
        return sum([await ctx.step.run("double", double, item) for item in range(STEPS)])

    async with live_engine.working(handler):
        await live_engine.send("db/users.inserted", {})
        (run,) = await live_engine.ended(within=120)

    assert (run["status"], run["output"]) == ("completed", STEPS * (STEPS - 1))
    steps = await live_engine.steps()
    assert len(steps) == STEPS
    assert steps[f"double:{STEPS - 1}"]["data"] == 2 * (STEPS - 1)


async def test_a_run_of_a_thousand_steps_that_is_handed_over_computes_none_again(
    live_engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = live_engine
    ran: Counter[int] = Counter()
    reached = asyncio.Event()
    statements: Counter[str] = Counter()

    def watched(name: str) -> str:
        statements[name] += 1
        return text(name)

    async def note(item: int) -> int:
        ran[item] += 1
        if item == STEPS - 1 and not reached.is_set():
            reached.set()
            await asyncio.get_running_loop().create_future()
        return item

    @function("long", on="db/users.inserted")
    async def handler(ctx: Context) -> int:
        return sum([await ctx.step.run("note", note, item) for item in range(STEPS)])

    async with engine.doomed(handler):
        await engine.send("db/users.inserted", {})
        await asyncio.wait_for(reached.wait(), 120)
    await engine.end_leases()
    monkeypatch.setattr(runs, "text", watched)
    async with engine.working(handler):
        (run,) = await engine.ended(within=120)

    assert (run["status"], run["output"]) == ("completed", STEPS * (STEPS - 1) // 2)
    assert ran == {**dict.fromkeys(range(STEPS), 1), STEPS - 1: 2}
    assert statements["steps/of_runs"] == 1


def in_memory() -> int:
    """How many runs this process holds something of."""
    gc.collect()
    return sum(isinstance(kept, LiveSteps | Context) for kept in gc.get_objects())


async def test_thousands_of_runs_asleep_are_not_in_memory_and_all_wake_up_once(live_engine: Engine) -> None:
    engine, before = live_engine, in_memory()
    woken: Counter[int] = Counter()

    @function("sleeper", on="db/users.inserted")
    async def handler(ctx: Context) -> None:
        item = ctx.event.data["new"]["id"]
        await ctx.step.sleep("night", "8h")
        woken[item] += 1

    async def all_are(status: str) -> bool:
        cursor = await engine.conn.execute("select count(*) from cdc_state.runs where status = %s", [status])
        return await cursor.fetchone() == (ASLEEP,)

    async with engine.working(handler) as worker:
        for start in range(0, ASLEEP, 1000):
            await engine.send("db/users.inserted", *({"id": item} for item in range(start, start + 1000)))
        await eventually(lambda: all_are("sleeping"), within=120)
        await eventually(lambda: worker.in_flight == 0)
        assert in_memory() <= before  # other tests may have left some
        assert woken == {}
        await engine.hurry()
        await eventually(lambda: all_are("completed"), within=120)

    assert woken == dict.fromkeys(range(ASLEEP), 1)
