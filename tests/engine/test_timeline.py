"""What is to be seen of a run: each attempt with its time and its error, and what its steps were given and wait for."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any

from cdc import Context, Event, NonRetriableError, RetryAfter, StepError, function
from cdc.events.hands import Hands
from cdc.store import looking
from tests.engine.harness import Engine
from tests.waiting import eventually

USER = "db/users.inserted"


async def shown(engine: Engine, run_id: str | None = None) -> dict[str, Any]:
    """One run as people see it, the first if none is named, with its steps by their ids."""
    run = await looking.run(engine.conn, run_id or (await engine.runs())[0]["id"])
    assert run is not None
    return {**run, "steps": {step["id"]: step for step in run["steps"]}}


def outcomes(told: dict[str, Any]) -> list[tuple[int, str | None]]:
    """The attempts of a step or a run: number and error, after a look at their times."""
    attempts = told["attempts"]
    times = [moment for each in attempts for moment in (each["started_at"], each["ended_at"]) if moment]
    assert times == sorted(times)
    return [(each["attempt"], each["error"] and each["error"]["message"]) for each in attempts]


async def test_each_attempt_of_a_step_is_told_once_with_its_error_and_its_time(engine: Engine) -> None:
    calls = 0

    async def flaky() -> int:
        nonlocal calls
        calls += 1
        if calls < 3:
            raise RuntimeError(f"call {calls}")
        return calls

    async def hopeless() -> None:
        raise NonRetriableError("never")

    @function("greet", on=USER)
    async def greet(ctx: Context) -> int:
        with suppress(StepError):
            await ctx.step.run("hopeless", hopeless)
        await ctx.step.run("good", asyncio.sleep, 0)
        return await ctx.step.run("flaky", flaky)

    async with engine.working(greet):
        await engine.send(USER, {})
        await engine.ended(hurried=True)
    run = await shown(engine)
    steps = run["steps"]
    assert outcomes(steps["flaky"]) == [(1, "call 1"), (2, "call 2"), (3, None)]
    assert outcomes(steps["hopeless"]) == [(1, "never")]
    assert outcomes(steps["good"]) == outcomes(run) == [(1, None)]
    assert steps["flaky"]["started_at"] == steps["flaky"]["attempts"][0]["started_at"]
    assert steps["flaky"]["ended_at"] == steps["flaky"]["attempts"][-1]["ended_at"]


async def test_the_handlers_attempts_are_told_too(engine: Engine) -> None:
    @function("greet", on=USER, retries=1)
    async def greet(ctx: Context) -> None:
        await ctx.step.run("first", asyncio.sleep, 0)
        raise RuntimeError(f"attempt {ctx.attempt}")

    async with engine.working(greet):
        await engine.send(USER, {})
        (run,) = await engine.ended(hurried=True)
    run = await shown(engine)
    assert outcomes(run) == [(1, "attempt 1"), (2, "attempt 2")]
    assert run["attempts"][-1]["error"] == run["error"]


async def test_attempts_that_do_not_count_stay_one(live_engine: Engine) -> None:
    class Away(RetryAfter):
        counts_as_attempt = False

    calls = 0

    async def call() -> None:
        nonlocal calls
        calls += 1
        if calls < 4:
            raise Away("away", 0.001)

    @function("greet", on=USER)
    async def greet(ctx: Context) -> None:
        await ctx.step.run("call", call)

    async with live_engine.working(greet):
        await live_engine.send(USER, {})
        await live_engine.ended(hurried=True)
    assert outcomes((await shown(live_engine))["steps"]["call"]) == [(1, "away"), (1, None)]


async def test_a_run_under_way_shows_what_it_waits_for_and_whom_it_invoked(live_engine: Engine) -> None:
    @function("child", on="app/never")
    async def child(ctx: Context) -> None:
        await ctx.step.sleep("nap", "1h")

    @function("parent", on=USER)
    async def parent(ctx: Context) -> None:
        await ctx.step.run("add", max, 3, 4)
        await ctx.step.send_event("tell", Event("app/told", {"n": 1}))
        await asyncio.gather(
            ctx.step.invoke("call", child, {"n": 2}),
            ctx.step.wait_for_event("answer", "app/answered", "1h", match="data.n"),
        )

    async with live_engine.working(parent, child):
        await live_engine.send(USER, {})
        asleep = await eventually(lambda: with_status(live_engine, "child", "sleeping"))
        run = await shown(live_engine, (await with_status(live_engine, "parent", "waiting"))["id"])
        await Hands(live_engine.conn).cancel([run["id"]], "by hand")
        cancelled = await shown(live_engine, run["id"])
    steps = run["steps"]
    assert steps["add"]["input"] == {"args": [3, 4]}
    assert steps["tell"]["input"] == [{"name": "app/told", "data": {"n": 1}}]
    assert (steps["call"]["input"], steps["call"]["invoked"]) == ({"n": 2}, asleep["id"])
    assert steps["answer"]["waits_for"]["event"] == "app/answered"
    assert "async.data.n" in steps["answer"]["waits_for"]["expression"]
    assert steps["answer"]["waits_for"]["expires_at"] == steps["answer"]["wake_at"]
    assert (await shown(live_engine, asleep["id"]))["invoker"] == run["id"]
    assert outcomes(run) == [(1, None)]
    assert run["attempts"][0]["ended_at"] is None
    assert outcomes(cancelled) == [(1, "by hand")]


async def test_inputs_are_not_kept_where_content_is_dropped(live_engine: Engine) -> None:
    @function("greet", on=USER)
    async def greet(ctx: Context) -> None:
        await ctx.step.run("add", max, 3, 4)
        await ctx.step.send_event("tell", Event("app/told", {"n": 1}))

    live_engine.keeps_content = False
    async with live_engine.working(greet):
        await live_engine.send(USER, {})
        await live_engine.ended()
    assert [step["input"] for step in (await shown(live_engine))["steps"].values()] == [None, None]


async def with_status(engine: Engine, function_id: str, status: str) -> dict[str, Any]:
    found = [run for run in await engine.runs() if (run["function"], run["status"]) == (function_id, status)]
    return found[0] if found else {}
