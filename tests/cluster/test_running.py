"""Our functions, unchanged, on a cluster: what they return, and in which calls."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from pydantic import BaseModel

from cdc import Context, Function, NonRetriableError, RetryAfter, StepError, function
from tests.cluster.harness import row_event, serving

ADA = row_event("users", {"id": 1, "name": "Ada"})

Patch = pytest.MonkeyPatch


class Greeting(BaseModel):
    words: str


async def test_steps_run_once_and_come_back_as_their_declared_types(monkeypatch: Patch) -> None:
    bodies: list[str] = []

    def greet(name: str, *, mark: str) -> Greeting:
        bodies.append("greet")
        return Greeting(words=f"Hello {name}{mark}")

    async def count() -> int:
        bodies.append("count")
        return 3

    @function("welcome", on="db/users.inserted")
    async def welcome(ctx: Context) -> dict[str, Any]:
        greeting = await ctx.step.run("greet", greet, ctx.event.data["new"]["name"], mark="!")
        await ctx.step.sleep("later", "3d")
        counted = [await ctx.step.run("count", count) for _ in range(2)]
        return {"greeting": greeting.words, "counted": counted, "user": ctx.event.user, "attempt": ctx.attempt}

    async with serving(monkeypatch, welcome) as cluster:
        ended = await cluster.run("shop-welcome", ADA)

    assert ended.output == {"greeting": "Hello Ada!", "counted": [3, 3], "user": {"id": 7}, "attempt": 1}
    assert bodies == ["greet", "count", "count"]
    assert ended.calls == [["StepRun greet"], ["Sleep later"], ["StepRun count"], ["StepRun count"], ["completed"]]


@pytest.mark.parametrize("how", ["gather", "task group", "group.parallel"])
async def test_steps_that_asyncio_runs_side_by_side_are_planned_together(monkeypatch: Patch, how: str) -> None:
    bodies: list[str] = []

    async def body(name: str) -> str:
        bodies.append(name)
        return name

    @function("many", on="db/users.inserted")
    async def many(ctx: Context) -> list[str]:
        async def branch(name: str) -> str:
            first = await ctx.step.run(f"{name}1", body, f"{name}1")
            return first + await ctx.step.run(f"{name}2", body, f"{name}2")

        if how == "gather":
            found = list(await asyncio.gather(branch("a"), branch("b")))
        elif how == "group.parallel":
            found = list(await ctx.group.parallel([lambda: branch("a"), lambda: branch("b")]))
        else:
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(branch(name)) for name in "ab"]
            found = [task.result() for task in tasks]
        return [*found, await ctx.step.run("after", body, "after")]

    async with serving(monkeypatch, many) as cluster:
        ended = await cluster.run("shop-many", ADA)

    assert ended.output == ["a1a2", "b1b2", "after"]
    assert sorted(bodies) == ["a1", "a2", "after", "b1", "b2"]
    assert ended.calls[0] == ["StepPlanned a1", "StepPlanned b1"]


async def test_a_branch_goes_on_while_another_sleeps_and_the_first_to_end_stays_the_first(monkeypatch: Patch) -> None:
    @function("race", on="db/users.inserted")
    async def race(ctx: Context) -> list[str]:
        async def quick() -> str:
            await ctx.step.run("one", lambda: 1)
            await ctx.step.run("two", lambda: 2)
            return "quick"

        async def slow() -> str:
            await ctx.step.sleep("night", "8h")
            return "slow"

        done, late = await asyncio.wait(
            [asyncio.ensure_future(slow()), asyncio.ensure_future(quick())], return_when=asyncio.FIRST_COMPLETED
        )
        for task in late:
            task.cancel()
        await ctx.step.sleep("on", "1h")
        return [task.result() for task in done]

    async with serving(monkeypatch, race) as cluster:
        ended = await cluster.run("shop-race", ADA)

    assert ended.output == ["quick"]
    assert ended.calls == [
        ["Sleep night", "StepPlanned one"],
        ["StepRun one"],
        ["Sleep night", "StepPlanned two"],
        ["StepRun two"],
        ["Sleep on"],
        ["Sleep on"],  # the night is over, too, and it is still not the first
        ["completed"],
    ]


async def test_what_a_step_raised_for_good_may_be_caught_and_counts_its_attempts(monkeypatch: Patch) -> None:
    tries: list[str] = []

    async def fails(name: str, error: Exception) -> None:
        tries.append(name)
        raise error

    @function("tries", on="db/users.inserted")
    async def catches(ctx: Context) -> list[list[str]]:
        caught = []
        errors = {"plain": ValueError("no"), "final": NonRetriableError("never"), "later": RetryAfter("busy", "2h")}
        for name, error in errors.items():
            try:
                await ctx.step.run(name, fails, name, error)
            except StepError as failed:
                caught.append([failed.step, failed.name, failed.message])
        return caught

    async with serving(monkeypatch, catches) as cluster:
        ended = await cluster.run("shop-tries", ADA)

    assert ended.output == [
        ["plain", "ValueError", "no"],
        ["final", "NonRetriableError", "never"],
        ["later", "RetryAfter", "busy"],
    ]
    assert tries == ["plain"] * 4 + ["final"] + ["later"] * 4
    assert len(ended.retry_after) == 3


ERRORS: dict[str, tuple[BaseException, str, int]] = {
    "plain": (ValueError("odd"), "ValueError", 4),
    "final": (NonRetriableError("never"), "NonRetriableError", 1),
    "of-a-step": (StepError("s", "Gone", "gone"), "StepError", 1),
    "group": (ExceptionGroup("two", [NonRetriableError("a"), NonRetriableError("b")]), "ExceptionGroup", 1),
    "later": (RetryAfter("busy", 90), "RetryAfterError", 4),
    "exit": (SystemExit(3), "RuntimeError", 4),
}


async def test_a_handlers_error_is_tried_again_only_where_that_may_help(monkeypatch: Patch) -> None:
    def raising(name: str, error: BaseException) -> Function:
        @function(name, on="db/users.inserted")
        async def raises(ctx: Context) -> None:
            raise error

        return raises

    functions = [raising(name, error) for name, (error, _, _) in ERRORS.items()]
    async with serving(monkeypatch, *functions) as cluster:
        ended = {name: await cluster.run(f"shop-{name}", ADA) for name in ERRORS}

    assert {name: (run.output["name"], len(run.calls)) for name, run in ended.items()} == {
        name: (expected, calls) for name, (_, expected, calls) in ERRORS.items()
    }
    assert {run.status for run in ended.values()} == {"failed"}
    assert {name: len(run.retry_after) for name, run in ended.items() if run.retry_after} == {"later": 4}
