"""Changed code meets runs in flight: the table in docs/replay.md."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from cdc import Context, Function, function
from tests.engine.harness import Engine
from tests.engine.telling import tell, waits_of
from tests.waiting import eventually

Pause = Callable[[Context], Any]


async def asleep(ctx: Context) -> None:
    await ctx.step.sleep("pause", "1h")


async def awaiting(ctx: Context) -> None:
    await ctx.step.wait_for_event("pause", "app/go", "1h")


@pytest.fixture(params=[asleep, awaiting])
def pause(request: pytest.FixtureRequest) -> Pause:
    chosen: Pause = request.param
    return chosen


class Bodies:
    """Steps that count how often their bodies run."""

    def __init__(self) -> None:
        self.ran: Counter[str] = Counter()

    async def step(self, ctx: Context, id: str, result: str = "") -> Any:
        async def body() -> str:
            self.ran[id] += 1
            return result or id

        return await ctx.step.run(id, body)


def versions(old: Callable[[Context], Any], new: Callable[[Context], Any]) -> tuple[Function, Function]:
    made = [function("changed", on="db/users.inserted")(handler) for handler in (old, new)]
    return made[0], made[1]


async def changed(engine: Engine, old: Function, new: Function) -> dict[str, Any]:
    """A run that pauses under the old code and ends under the new."""
    async with engine.working(old):
        await engine.send("db/users.inserted", {})

        async def pauses() -> bool:
            return [run["status"] for run in await engine.runs()] in (["sleeping"], ["waiting"])

        await eventually(pauses)
    if await waits_of(engine):
        await tell(engine, "app/go", {})
    async with engine.working(new):
        (run,) = await engine.ended(hurried=True)
    return run


async def test_a_new_step_runs_before_and_after_the_pause(engine: Engine, pause: Pause) -> None:
    bodies = Bodies()

    async def old(ctx: Context) -> Any:
        first = await bodies.step(ctx, "first")
        await pause(ctx)
        return [first]

    async def new(ctx: Context) -> Any:
        added = await bodies.step(ctx, "added")
        first = await bodies.step(ctx, "first")
        await pause(ctx)
        return [added, first, await bodies.step(ctx, "last")]

    run = await changed(engine, *versions(old, new))
    assert run["output"] == ["added", "first", "last"]
    assert bodies.ran == {"first": 1, "added": 1, "last": 1}


async def test_the_record_of_a_removed_step_is_ignored(engine: Engine, pause: Pause) -> None:
    bodies = Bodies()

    async def old(ctx: Context) -> Any:
        await bodies.step(ctx, "removed")
        kept = await bodies.step(ctx, "kept")
        await pause(ctx)
        return [kept]

    async def new(ctx: Context) -> Any:
        ctx.logger.info("begin")
        kept = await bodies.step(ctx, "kept")
        await pause(ctx)
        return [kept, await bodies.step(ctx, "last")]

    run = await changed(engine, *versions(old, new))
    assert run["output"] == ["kept", "last"]
    assert bodies.ran == {"removed": 1, "kept": 1, "last": 1}


async def test_reordered_steps_find_their_records_by_id(engine: Engine, pause: Pause) -> None:
    bodies = Bodies()

    async def old(ctx: Context) -> Any:
        results = [await bodies.step(ctx, each) for each in ("a", "b", "c")]
        await pause(ctx)
        return results

    async def new(ctx: Context) -> Any:
        results = [await bodies.step(ctx, each, f"another {each}") for each in ("c", "a", "b")]
        await pause(ctx)
        return results

    run = await changed(engine, *versions(old, new))
    assert run["output"] == ["c", "a", "b"]
    assert bodies.ran == {"a": 1, "b": 1, "c": 1}


async def test_a_renamed_step_runs_anew(engine: Engine, pause: Pause) -> None:
    bodies = Bodies()

    async def old(ctx: Context) -> Any:
        await bodies.step(ctx, "old-name")
        await pause(ctx)

    async def new(ctx: Context) -> Any:
        result = await bodies.step(ctx, "new-name")
        await pause(ctx)
        return result

    run = await changed(engine, *versions(old, new))
    assert run["output"] == "new-name"
    assert bodies.ran == {"old-name": 1, "new-name": 1}


async def test_a_pause_that_was_removed_is_not_waited_for(engine: Engine, pause: Pause) -> None:
    bodies = Bodies()

    async def old(ctx: Context) -> Any:
        await pause(ctx)

    async def new(ctx: Context) -> Any:
        return await bodies.step(ctx, "instead")

    run = await changed(engine, *versions(old, new))
    assert (run["status"], run["output"]) == ("completed", "instead")
    assert await waits_of(engine) == []


async def test_an_id_that_is_now_another_kind_of_step_is_a_clear_error(engine: Engine, pause: Pause) -> None:
    bodies = Bodies()

    async def old(ctx: Context) -> Any:
        await pause(ctx)

    async def new(ctx: Context) -> Any:
        return await bodies.step(ctx, "pause")

    run = await changed(engine, *versions(old, new))
    assert (run["status"], run["error"]["name"]) == ("failed", "NonRetriableError")
    assert "step 'pause' is recorded as a " in run["error"]["message"]
    assert bodies.ran == {}


async def test_the_old_result_is_read_as_what_the_new_code_declares(engine: Engine, pause: Pause) -> None:
    async def as_list() -> list[str]:
        return ["a", "b"]

    async def as_set() -> set[str]:
        return {"never"}

    async def old(ctx: Context) -> Any:
        await ctx.step.run("value", as_list)
        await pause(ctx)

    async def new(ctx: Context) -> Any:
        value = await ctx.step.run("value", as_set)
        await pause(ctx)
        return [type(value).__name__, sorted(value)]

    run = await changed(engine, *versions(old, new))
    assert run["output"] == ["set", ["a", "b"]]
