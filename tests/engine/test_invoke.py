"""Invoking functions: their results come back to the step, whatever becomes of them."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from cdc import Batch, Concurrency, Context, Debounce, RateLimit, StepError, function
from cdc.events.outbox import Outbox
from tests.engine.harness import Engine
from tests.waiting import eventually


@function("double", on="app/never", retries=0)
async def double(ctx: Context) -> Any:
    if ctx.event.data.get("fails"):
        raise ValueError("as told")
    return [ctx.event.name, ctx.event.data["n"] * 2]


async def outcome(ctx: Context, invoked: Any, data: dict[str, Any], **options: Any) -> Any:
    """What an invocation gives or raises."""
    try:
        return await ctx.step.invoke("child", invoked, data, **options)
    except StepError as error:
        return {"step": error.step, "name": error.name, "message": error.message}


async def output(engine: Engine, function_id: str) -> Any:
    (run,) = [run for run in await engine.runs() if run["function"] == function_id]
    return run["output"]


@pytest.mark.parametrize("invoked", [double, "double"], ids=["function", "id"])
async def test_a_result_comes_back_and_data_gets_there(engine: Engine, invoked: Any) -> None:
    @function("parent", on="db/users.inserted")
    async def parent(ctx: Context) -> Any:
        return await ctx.step.invoke("child", invoked, {"n": 21})

    async with engine.working(parent, double):
        await engine.send("db/users.inserted", {})
        await engine.ended(2)

    assert await output(engine, "parent") == ["inngest/function.invoked", 42]
    assert (await engine.steps())["child"]["kind"] == "invoke"


async def test_a_child_that_fails_is_an_error_that_may_be_caught(engine: Engine) -> None:
    @function("parent", on="db/users.inserted")
    async def parent(ctx: Context) -> Any:
        return await outcome(ctx, double, {"fails": True})

    async with engine.working(parent, double):
        await engine.send("db/users.inserted", {})
        await engine.ended(2)

    assert await output(engine, "parent") == {"step": "child", "name": "ValueError", "message": "as told"}


async def test_an_uncaught_failure_of_a_child_fails_its_parent_at_once(engine: Engine) -> None:
    @function("parent", on="db/users.inserted", retries=5)
    async def parent(ctx: Context) -> Any:
        return await ctx.step.invoke("child", double, {"fails": True})

    async with engine.working(parent, double):
        await engine.send("db/users.inserted", {})
        runs = await engine.ended(2)

    assert [(run["status"], run["failures"]) for run in runs] == [("failed", 0)] * 2


async def test_a_child_that_is_cancelled_is_an_error(engine: Engine) -> None:
    @function("sleeps", on="app/never")
    async def sleeps(ctx: Context) -> None:
        await ctx.step.sleep("long", "1h")

    @function("parent", on="db/users.inserted")
    async def parent(ctx: Context) -> Any:
        return await outcome(ctx, "sleeps", {})

    async with engine.working(parent, sleeps):
        await engine.send("db/users.inserted", {})

        async def the_child() -> str | None:
            return next((run["id"] for run in await engine.runs() if run["status"] == "sleeping"), None)

        child = await eventually(the_child)
        assert child
        async with engine.conn.transaction():
            await Outbox().cancel(engine.conn, {child: "somebody said so"})
        engine.wake()
        await engine.ended(2)

    told = await output(engine, "parent")
    assert (told["name"], told["message"]) == ("RunCancelled", "somebody said so")


async def test_a_child_that_takes_too_long_is_an_error_and_goes_on(engine: Engine) -> None:
    go_on = asyncio.Event()

    async def wait_here() -> None:
        await go_on.wait()

    @function("slow", on="app/never")
    async def slow(ctx: Context) -> str:
        await ctx.step.run("wait", wait_here)
        return "late"

    @function("parent", on="db/users.inserted")
    async def parent(ctx: Context) -> Any:
        return await outcome(ctx, slow, {}, timeout="1m")

    async with engine.working(parent, slow):
        await engine.send("db/users.inserted", {})
        await eventually(lambda: _waits(engine))
        await engine.ended(1, hurried=True)
        go_on.set()
        runs = await engine.ended(2)

    assert (await output(engine, "parent"))["name"] == "InvokeTimeout"
    assert {run["function"]: run["status"] for run in runs} == {"parent": "completed", "slow": "completed"}


async def test_an_unknown_function_is_an_error_at_once(engine: Engine) -> None:
    @function("parent", on="db/users.inserted")
    async def parent(ctx: Context) -> Any:
        return await outcome(ctx, "nobody", {})

    async with engine.working(parent):
        await engine.send("db/users.inserted", {})
        (run,) = await engine.ended()

    assert run["output"] == {"step": "child", "name": "FunctionUnknown", "message": "there is no function 'nobody'"}


async def test_a_child_that_flow_control_does_not_let_start_is_an_error(engine: Engine) -> None:
    @function("rare", on="app/never", rate_limit=RateLimit(1, "1h"))
    async def rare(ctx: Context) -> str:
        return "once"

    @function("parent", on="db/users.inserted")
    async def parent(ctx: Context) -> list[Any]:
        return [await ctx.step.invoke("first", rare), await outcome(ctx, rare, {})]

    async with engine.working(parent, rare):
        await engine.send("db/users.inserted", {})
        await engine.ended(2)

    first, second = await output(engine, "parent")
    assert (first, second["name"]) == ("once", "RunSkipped")


async def test_children_keep_to_their_concurrency_and_each_answers(engine: Engine) -> None:
    at_once, most = 0, 0

    async def busy() -> None:
        nonlocal at_once, most
        at_once += 1
        most = max(most, at_once)
        await asyncio.sleep(0.005)
        at_once -= 1

    @function("limited", on="app/never", concurrency=Concurrency(2))
    async def limited(ctx: Context) -> int:
        await ctx.step.run("busy", busy)
        return int(ctx.event.data["n"])

    @function("parent", on="db/users.inserted")
    async def parent(ctx: Context) -> Any:
        return await asyncio.gather(*(ctx.step.invoke(f"child-{n}", limited, {"n": n}) for n in range(8)))

    async with engine.working(parent, limited):
        await engine.send("db/users.inserted", {})
        await engine.ended(9)

    assert await output(engine, "parent") == list(range(8))
    assert most <= 2


@pytest.mark.parametrize(
    "flow", [{"batch_events": Batch(10, timeout="1h")}, {"debounce": Debounce("1h")}], ids=["batch", "debounce"]
)
async def test_an_invoked_run_is_alone_with_its_event_and_starts_at_once(engine: Engine, flow: Any) -> None:
    @function("gathers", on="app/never", **flow)
    async def gathers(ctx: Context) -> list[int]:
        return [event.data["n"] for event in ctx.events]

    @function("parent", on="db/users.inserted")
    async def parent(ctx: Context) -> list[Any]:
        return await asyncio.gather(*(ctx.step.invoke(f"child-{n}", gathers, {"n": n}) for n in range(3)))

    async with engine.working(parent, gathers):
        await engine.send("db/users.inserted", {})
        await engine.ended(4)

    assert await output(engine, "parent") == [[0], [1], [2]]


async def test_a_chain_of_three(engine: Engine) -> None:
    @function("first", on="db/users.inserted")
    async def first(ctx: Context) -> Any:
        return ["first", await ctx.step.invoke("next", "second", {"n": 1})]

    @function("second", on="app/never")
    async def second(ctx: Context) -> Any:
        return ["second", await ctx.step.invoke("next", "third", {"n": ctx.event.data["n"] + 1})]

    @function("third", on="app/never")
    async def third(ctx: Context) -> Any:
        return ["third", ctx.event.data["n"]]

    async with engine.working(first, second, third):
        await engine.send("db/users.inserted", {})
        await engine.ended(3)

    assert await output(engine, "first") == ["first", ["second", ["third", 2]]]


async def test_a_worker_that_dies_around_an_invocation_invokes_once(live_engine: Engine) -> None:
    engine, reached, bodies = live_engine, asyncio.Event(), 0

    async def stuck_once() -> int:
        nonlocal bodies
        bodies += 1
        if bodies == 1:
            reached.set()
            await asyncio.Event().wait()
        return bodies

    @function("child", on="app/never")
    async def child(ctx: Context) -> int:
        return await ctx.step.run("stuck", stuck_once)

    @function("parent", on="db/users.inserted")
    async def parent(ctx: Context) -> Any:
        return await ctx.step.invoke("child", child, {})

    async with engine.doomed(parent, child):
        await engine.send("db/users.inserted", {})
        await reached.wait()
    await engine.end_leases()
    async with engine.working(parent, child):
        runs = await engine.ended(2)

    assert [run["output"] for run in runs] == [2, 2]
    assert len(runs) == 2


async def _waits(engine: Engine) -> bool:
    return any(run["status"] == "waiting" for run in await engine.runs())
