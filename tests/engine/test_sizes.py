"""Large results and long runs."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence

import pytest

from cdc import Context, function
from cdc.engine.journal import MOST_BYTES
from cdc.engine.memo import LARGEST
from cdc.store import journal as store
from cdc.store.connect import Connection
from cdc.store.journal import RunRecord, StepRecord
from tests.engine.harness import Engine

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

    async def watched(conn: Connection, worker_id: int, steps: Sequence[StepRecord], runs: Sequence[RunRecord]) -> bool:
        batches.append(sum(len(step.data or "") for step in steps))
        return await write(conn, worker_id, steps, runs)

    monkeypatch.setattr(store, "write", watched)

    async def large() -> str:
        return "x" * (LARGEST - QUOTES)

    @function("wide", on="db/users.inserted")
    async def handler(ctx: Context) -> int:
        results = await asyncio.gather(*(ctx.step.run(f"large-{item}", large) for item in range(20)))
        return sum(map(len, results))

    async with live_engine.working(handler):
        await live_engine.send("db/users.inserted", {})
        (run,) = await live_engine.ended(within=60)

    assert (run["status"], run["output"]) == ("completed", 20 * (LARGEST - QUOTES))
    assert sum(batches) == 20 * LARGEST
    assert max(batches) == MOST_BYTES == 4 * LARGEST
