"""Branches side by side, steps within steps, and bodies that take too long."""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from cdc import Context, RetryAfter, StepError, function
from tests.engine.harness import Engine
from tests.engine.telling import tell, waits_of
from tests.waiting import eventually


async def number(value: int) -> int:
    return value


async def test_a_group_gives_its_results_in_order(engine: Engine) -> None:
    @function("group", on="db/users.inserted")
    async def group(ctx: Context) -> Any:
        steps = [lambda item=item: ctx.step.run(f"item-{item}", number, item) for item in range(5)]
        return await ctx.group.parallel(steps)

    async with engine.working(group):
        await engine.send("db/users.inserted", {})
        (run,) = await engine.ended()

    assert run["output"] == [0, 1, 2, 3, 4]


async def test_a_group_raises_the_first_error_once_all_have_ended(engine: Engine) -> None:
    ended: list[str] = []

    async def fails() -> None:
        raise ValueError("one of them")

    @function("group", on="db/users.inserted", retries=0)
    async def group(ctx: Context) -> str:
        async def slow() -> int:
            result = await ctx.step.run("slow", number, 1)
            ended.append(await ctx.step.run("slower", str, result))
            return result

        try:
            await ctx.group.parallel((lambda: ctx.step.run("fails", fails), slow))
        except StepError as error:
            return f"{error.step} {ended[-1]}"
        return "not reached"

    async with engine.working(group):
        await engine.send("db/users.inserted", {})
        (run,) = await engine.ended()

    assert run["output"] == "fails 1"


async def test_branches_of_many_levels_go_on_beside_a_sleep(live_engine: Engine) -> None:
    async def nested(ctx: Context, levels: int) -> int:
        if not levels:
            return await ctx.step.run("deepest", number, 1)
        (result,) = await ctx.group.parallel((lambda: nested(ctx, levels - 1),))
        return result

    @function("deep", on="db/users.inserted")
    async def deep(ctx: Context) -> None:
        async def branch() -> None:
            result = await nested(ctx, 5)
            await ctx.step.run("after", number, result)

        await asyncio.gather(ctx.step.sleep("long", "1h"), branch())

    async with live_engine.working(deep):
        await live_engine.send("db/users.inserted", {})
        await live_engine.run_is("sleeping")
        (run,) = await live_engine.runs()

    assert (run["claims"], set(await live_engine.steps())) == (1, {"long", "deepest", "after"})


async def test_every_kind_of_step_side_by_side(engine: Engine) -> None:
    @function("child", on="app/never")
    async def child(ctx: Context) -> str:
        return "child"

    @function("all", on="db/users.inserted")
    async def everything(ctx: Context) -> Any:
        event, invoked, _, ran = await ctx.group.parallel(
            (
                lambda: ctx.step.wait_for_event("wait", "app/x", "1h"),
                lambda: ctx.step.invoke("invoke", child),
                lambda: ctx.step.sleep("sleep", 0.01),
                lambda: ctx.step.run("run", number, 1),
            )
        )
        return [event.data, invoked, ran]

    async with engine.working(everything, child):
        await engine.send("db/users.inserted", {})
        await eventually(lambda: waits_of(engine))
        await tell(engine, "app/x", {"n": 1})
        runs = await engine.ended(2)

    assert runs[0]["output"] == [{"n": 1}, "child", 1]


async def test_a_retry_is_not_made_early_because_another_branch_goes_on(live_engine: Engine) -> None:
    engine, attempts = live_engine, 0

    async def fails() -> None:
        nonlocal attempts
        attempts += 1
        raise RetryAfter("later", "1h")

    @function("both", on="db/users.inserted")
    async def both(ctx: Context) -> None:
        async def waits() -> None:
            await ctx.step.wait_for_event("wait", "app/x", "1d")
            await ctx.step.run("after", number, 1)

        await asyncio.gather(ctx.step.run("fails", fails), waits())

    async with engine.working(both):
        await engine.send("db/users.inserted", {})
        await eventually(lambda: waits_of(engine))
        await engine.run_is("queued")
        await tell(engine, "app/x", {})

        async def other_branch_went_on() -> bool:
            return "after" in await engine.steps()

        await eventually(other_branch_went_on)
        await engine.run_is("queued")
        cursor = await engine.conn.execute("select due_at > now() + interval '50 minutes' from cdc_state.runs")
        assert await cursor.fetchone() == (True,)

    assert attempts == 1
    assert (await engine.steps())["fails"]["attempts"] == 1


async def in_the_body(ctx: Context) -> Any:
    return await ctx.step.run("inner", number, 1)


async def in_a_task(ctx: Context) -> Any:
    return await asyncio.gather(ctx.step.run("inner", number, 1))


def in_a_thread(ctx: Context) -> Any:
    return asyncio.run(in_the_body(ctx))


async def a_sleep(ctx: Context) -> Any:
    await ctx.step.sleep("inner", 1)


@pytest.mark.parametrize("body", [in_the_body, in_a_task, in_a_thread, a_sleep])
async def test_a_step_within_a_step_is_refused(engine: Engine, body: Callable[..., Any]) -> None:
    @function("nested", on="db/users.inserted", retries=5)
    async def nested(ctx: Context) -> None:
        await ctx.step.run("outer", body, ctx)

    async with engine.working(nested):
        await engine.send("db/users.inserted", {})
        (run,) = await engine.ended()

    assert run["status"] == "failed"
    assert "step 'inner' is taken inside step 'outer'" in run["error"]["message"]
    assert list(await engine.steps()) == ["outer"]


async def too_long() -> None:
    await asyncio.Event().wait()


def too_long_in_a_thread(stop: threading.Event) -> None:
    stop.wait(20)


@pytest.mark.parametrize("plain", [False, True], ids=["coroutine", "plain"])
async def test_a_body_that_takes_too_long_has_failed_and_is_tried_again(engine: Engine, plain: bool) -> None:
    stop = threading.Event()

    @function("slow", on="db/users.inserted", retries=1)
    async def slow(ctx: Context) -> list[str]:
        step = ctx.step.within(0.05)
        try:
            await (step.run("slow", too_long_in_a_thread, stop) if plain else step.run("slow", too_long))
        except StepError as error:
            return [error.name, error.message]
        return []

    try:
        async with engine.working(slow):
            await engine.send("db/users.inserted", {})
            (run,) = await engine.ended(hurried=True)
    finally:
        stop.set()

    assert run["output"] == ["TimeoutError", "it took longer than 0.05 s"]
    assert (await engine.steps())["slow"]["attempts"] == 2


async def test_ids_are_numbered_across_steps_with_and_without_a_timeout(engine: Engine) -> None:
    @function("mixed", on="db/users.inserted")
    async def mixed(ctx: Context) -> list[int]:
        return [await ctx.step.run("a", number, 1), await ctx.step.within("1m").run("a", number, 2)]

    async with engine.working(mixed):
        await engine.send("db/users.inserted", {})
        (run,) = await engine.ended()

    assert run["output"] == [1, 2]
    assert list(await engine.steps()) == ["a", "a:1"]


async def cancels_itself() -> None:
    task = asyncio.create_task(asyncio.Event().wait())
    task.cancel()
    await task


async def exits() -> None:
    raise SystemExit(3)


@pytest.mark.parametrize("ending", [cancels_itself, exits])
@pytest.mark.parametrize("in_a_step", [True, False], ids=["step", "handler"])
async def test_a_cancellation_or_exit_of_the_authors_own_is_a_failure(
    engine: Engine, ending: Callable[[], Awaitable[None]], in_a_step: bool
) -> None:
    called: Counter[str] = Counter()

    async def body() -> None:
        called["body"] += 1
        await ending()

    @function("ends", on="db/users.inserted", retries=1)
    async def ends(ctx: Context) -> None:
        await (ctx.step.run("body", body) if in_a_step else body())

    async with engine.working(ends):
        await engine.send("db/users.inserted", {})
        (run,) = await engine.ended(hurried=True)

    assert run["status"] == "failed"
    assert called["body"] == 2


async def test_an_error_while_a_run_is_suspended_is_no_failure(engine: Engine) -> None:
    @function("cleans", on="db/users.inserted", retries=0)
    async def cleans(ctx: Context) -> str:
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(ctx.step.sleep("long", "1h"))
                sleeping = group.create_task(ctx.step.sleep("longer", "2h"))
        finally:
            if sleeping.cancelled():
                raise RuntimeError("what cleaning up came to")
        return "done"

    async with engine.working(cleans):
        await engine.send("db/users.inserted", {})
        await engine.run_is("sleeping")
        (run,) = await engine.ended(hurried=True)

    assert (run["status"], run["output"]) == ("completed", "done")


async def test_a_task_group_whose_steps_have_failed_is_not_called_again(engine: Engine) -> None:
    calls = 0

    async def fails() -> None:
        raise ValueError("for good")

    @function("grouped", on="db/users.inserted", retries=0)
    async def grouped(ctx: Context) -> None:
        nonlocal calls
        calls += 1
        async with asyncio.TaskGroup() as group:
            group.create_task(ctx.step.run("fails", fails))

    async with engine.working(grouped):
        await engine.send("db/users.inserted", {})
        (run,) = await engine.ended(hurried=True)

    assert (run["status"], run["failures"]) == ("failed", 0)
