"""Signals: one run at a time waits for a name."""

from __future__ import annotations

from typing import Any

from cdc import Context, StepError, function
from tests.engine.harness import Engine
from tests.engine.telling import waits_of
from tests.waiting import eventually


@function("approval", on="db/orders.inserted")
async def approval(ctx: Context) -> Any:
    return await ctx.step.wait_for_signal("approved", f"order.{ctx.event.data['new']['id']}", "1h")


@function("approves", on="db/approvals.inserted")
async def approves(ctx: Context) -> None:
    await ctx.step.send_signal("approve", f"order.{ctx.event.data['new']['id']}", {"by": "ann"})


async def test_a_signal_wakes_the_run_that_waits_for_it_with_its_data(engine: Engine) -> None:
    async with engine.working(approval, approves):
        await engine.send("db/orders.inserted", {"id": 1}, {"id": 2})

        async def both_wait() -> bool:
            return len(await waits_of(engine)) == 2

        await eventually(both_wait)
        await engine.send("db/approvals.inserted", {"id": 2})
        runs = await engine.ended(2)

    outputs = {run["function"]: run["output"] for run in runs if run["status"] == "completed"}
    assert outputs == {"approval": {"by": "ann"}, "approves": None}
    assert await waits_of(engine) == [("approved", "cdc/signal.order.1")]


async def test_without_a_signal_the_wait_gives_none(engine: Engine) -> None:
    async with engine.working(approval):
        await engine.send("db/orders.inserted", {"id": 1})
        await eventually(lambda: waits_of(engine))
        (run,) = await engine.ended(hurried=True)

    assert (run["status"], run["output"]) == ("completed", None)


async def test_a_signal_for_which_nobody_waits_does_nothing(engine: Engine) -> None:
    async with engine.working(approval, approves):
        await engine.send("db/approvals.inserted", {"id": 1})
        await engine.ended(1)
        await engine.send("db/orders.inserted", {"id": 1})
        await eventually(lambda: waits_of(engine))
        runs = await engine.runs()

    assert {run["function"]: run["status"] for run in runs} == {"approval": "waiting", "approves": "completed"}


async def test_who_waits_for_a_signal_that_another_waits_for_gets_an_error_that_may_be_caught(engine: Engine) -> None:
    @function("greedy", on="db/users.inserted")
    async def greedy(ctx: Context) -> Any:
        try:
            return await ctx.step.wait_for_signal("mine", "order.1", "1h")
        except StepError as taken:
            return [taken.step, taken.name, taken.message]

    async with engine.working(approval, greedy):
        await engine.send("db/orders.inserted", {"id": 1})
        await eventually(lambda: waits_of(engine))
        await engine.send("db/users.inserted", {})
        runs = await engine.ended()

    assert {run["function"]: run["status"] for run in runs} == {"approval": "waiting", "greedy": "completed"}
    (output,) = (run["output"] for run in runs if run["function"] == "greedy")
    assert output[:2] == ["mine", "SignalTaken"]
    assert "waits for this signal already" in output[2]


async def test_of_many_that_ask_for_a_signal_at_once_one_gets_it_and_no_other_run_is_harmed(engine: Engine) -> None:
    @function("same", on="db/users.inserted")
    async def same(ctx: Context) -> Any:
        return await ctx.step.wait_for_signal("mine", "one name", "1h")

    async with engine.working(same, approval):
        await engine.send("db/users.inserted", *({"id": item} for item in range(10)))
        await engine.send("db/orders.inserted", *({"id": item} for item in range(10)))
        await engine.ended(9)

        async def ten_and_one_wait() -> bool:
            return len(await waits_of(engine)) == 11

        await eventually(ten_and_one_wait)
        runs = await engine.runs()

    statuses = sorted(run["status"] for run in runs if run["function"] == "same")
    assert statuses == ["failed"] * 9 + ["waiting"]


async def test_a_name_is_free_again_when_its_wait_is_over(engine: Engine) -> None:
    @function("twice", on="db/users.inserted")
    async def twice(ctx: Context) -> list[Any]:
        return [await ctx.step.wait_for_signal("first", "name", "1h"), await ctx.step.wait_for_signal("b", "name", 60)]

    async with engine.working(twice):
        await engine.send("db/users.inserted", {})
        (run,) = await engine.ended(hurried=True)

    assert (run["status"], run["output"]) == ("completed", [None, None])
