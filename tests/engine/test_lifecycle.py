"""Ends of runs are told; functions that listen to them, and events that must fit a model."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest
from pydantic import BaseModel

from cdc import Batch, Context, EventTrigger, NonRetriableError, function
from tests.engine.harness import Engine
from tests.engine.telling import cancel, tell
from tests.waiting import eventually


async def told(engine: Engine, name: str) -> list[tuple[str, dict[str, Any]]]:
    """Id and data of the events of this name."""
    cursor = await engine.conn.execute(
        "select id::text, data from cdc_state.events where name = %s order by id", [f"inngest/function.{name}"]
    )
    return [(row[0], row[1]) for row in await cursor.fetchall()]


@function("fails", on="db/users.inserted", retries=0)
async def fails(ctx: Context) -> None:
    raise ValueError("for good")


async def test_on_failure_is_called_once_with_what_failed_and_why(engine: Engine) -> None:
    seen: list[Any] = []

    async def note(ctx: Context) -> str:
        seen.append(await ctx.step.run("note", dict, ctx.event.data))
        return "noted"

    @function("guarded", on="db/users.inserted", retries=1, on_failure=note)
    async def guarded(ctx: Context) -> None:
        raise ValueError("for good")

    async with engine.working(*guarded.with_failure(), *fails.with_failure()):
        await engine.send("db/users.inserted", {"id": 7})
        runs = await engine.ended(3, hurried=True)

    by_function = {run["function"]: run for run in runs}
    assert (by_function["guarded-failure"]["status"], by_function["guarded-failure"]["output"]) == (
        "completed",
        "noted",
    )
    data = seen[-1]
    assert data["function_id"] == "guarded"
    assert data["run_id"] == by_function["guarded"]["id"]
    assert data["event"]["data"]["new"] == {"id": 7}
    assert data["events"] == [data["event"]]
    assert {key: data["error"][key] for key in ("error", "name", "message")} == {
        "error": "for good",
        "name": "ValueError",
        "message": "for good",
    }
    assert "ValueError: for good" in data["error"]["stack"]
    assert data["_inngest"] == {"status": "Failed"}


async def test_a_failed_run_is_told_under_its_own_id(engine: Engine) -> None:
    async with engine.working(fails):
        await engine.send("db/users.inserted", {})
        (run,) = await engine.ended()

    assert [id_ for id_, _ in await told(engine, "failed")] == [run["id"]]
    assert await told(engine, "finished") == []


async def test_the_failure_of_a_failure_handler_tells_nothing(engine: Engine) -> None:
    async def fails_too(ctx: Context) -> None:
        raise NonRetriableError("as well")

    @function("guarded", on="db/users.inserted", retries=0, on_failure=fails_too)
    async def guarded(ctx: Context) -> None:
        raise ValueError("for good")

    @function("hears", on=["inngest/function.failed", "inngest/function.finished"], retries=0)
    async def hears(ctx: Context) -> None:
        raise ValueError("here, too")

    async with engine.working(*guarded.with_failure(), hears):
        await engine.send("db/users.inserted", {})
        runs = await engine.ended(4)

    assert len(runs) == 4
    assert len(await told(engine, "failed")) == 1
    assert len(await told(engine, "finished")) == 1


async def test_each_end_is_told_to_those_who_listen_to_ends(engine: Engine) -> None:
    heard: list[dict[str, Any]] = []

    @function("hears", on="inngest/function.finished")
    async def hears(ctx: Context) -> None:
        heard.append(ctx.event.data)

    @function("works", on="db/users.inserted", batch_events=Batch(2))
    async def works(ctx: Context) -> int:
        return len(ctx.events)

    async with engine.working(fails, works, hears):
        await engine.send("db/users.inserted", {"id": 1}, {"id": 2})
        runs = await engine.ended(6)

    assert len(runs) == 6
    ends = {data["run_id"]: data for data in heard}
    assert sorted(data["_inngest"]["status"] for data in ends.values()) == ["Completed", "Failed", "Failed"]
    (batch,) = (data for data in ends.values() if data["function_id"] == "works")
    assert batch["result"] == 2
    assert [event["data"]["new"]["id"] for event in batch["events"]] == [1, 2]
    assert "error" not in batch
    failed = next(data for data in ends.values() if data["function_id"] == "fails")
    assert failed["error"]["message"] == "for good"


async def test_who_begins_to_listen_hears_also_of_workers_that_were_there_before(live_engine: Engine) -> None:
    engine = live_engine

    @function("works", on="db/users.inserted")
    async def works(ctx: Context) -> str:
        return "done"

    @function("hears", on="inngest/function.finished")
    async def hears(ctx: Context) -> Any:
        return ctx.event.data["result"]

    async with engine.working(works):
        await engine.send("db/users.inserted", {})
        await engine.ended(1)
        (worker,) = engine.workers
        async with engine.working(hears, works):
            engine.workers.remove(worker)
            engine.workers.reverse()
            engine.workers.append(worker)
            for _ in range(10):
                await engine.send("db/users.inserted", {})
            runs = await engine.ended(21)

    assert [run["output"] for run in runs if run["function"] == "hears"] == ["done"] * 10


async def test_a_cancelled_run_is_told_under_its_own_id_and_not_as_failed(engine: Engine) -> None:
    @function("sleeps", on="db/users.inserted")
    async def sleeps(ctx: Context) -> None:
        await ctx.step.sleep("long", "1h")

    @function("hears", on=["inngest/function.cancelled", "inngest/function.finished"])
    async def hears(ctx: Context) -> list[str]:
        return [ctx.event.name, ctx.event.data["_inngest"]["status"], ctx.event.data["error"]["message"]]

    async with engine.working(sleeps, hears):
        await engine.send("db/users.inserted", {})
        await engine.run_is("sleeping")
        await cancel(engine)
        runs = await engine.ended(3)

    assert sorted(run["output"] for run in runs if run["function"] == "hears") == [
        ["inngest/function.cancelled", "Cancelled", "somebody said so"],
        ["inngest/function.finished", "Cancelled", "somebody said so"],
    ]
    (run,) = (run for run in runs if run["function"] == "sleeps")
    assert [id_ for id_, _ in await told(engine, "cancelled")] == [run["id"]]
    assert await told(engine, "failed") == []


async def test_a_run_that_fails_after_it_was_cancelled_stays_cancelled_and_is_told_once(live_engine: Engine) -> None:
    engine, reached, go_on = live_engine, asyncio.Event(), asyncio.Event()

    def blocks_cancellation() -> None:
        raise ValueError("too late")

    @function("late", on="db/users.inserted", retries=0)
    async def late(ctx: Context) -> None:
        reached.set()
        try:
            await go_on.wait()
        except asyncio.CancelledError:
            asyncio.current_task().uncancel()  # type: ignore[union-attr]
        await ctx.step.run("late", blocks_cancellation)

    async with engine.working(late):
        await engine.send("db/users.inserted", {})
        await reached.wait()
        await cancel(engine)
        (worker,) = engine.workers
        go_on.set()
        await eventually(lambda: worker.in_flight == 0)
        (run,) = await engine.runs()

    assert run["status"] == "cancelled"
    assert len(await told(engine, "cancelled")) == 1
    assert await told(engine, "failed") == []


async def test_several_triggers_start_one_function(engine: Engine) -> None:
    @function("several", on=["db/users.*", EventTrigger("app/hello", if_exp="event.data.n > 1"), "app/bye"])
    async def several(ctx: Context) -> str:
        return ctx.event.name

    async with engine.working(several):
        await engine.send("db/users.inserted", {})
        await engine.send("db/users.deleted", {})
        await tell(engine, "app/hello", {"n": 1}, {"n": 2})
        await tell(engine, "app/bye", {})
        runs = await engine.ended(4)

    assert [run["output"] for run in runs] == ["db/users.inserted", "db/users.deleted", "app/hello", "app/bye"]


class Order(BaseModel):
    id: int
    note: str = ""


@pytest.mark.parametrize(("name", "good"), [("app/order", True), ("db/orders.inserted", True), ("app/order", False)])
async def test_an_event_fits_its_model_or_its_run_fails_at_once(
    engine: Engine, name: str, good: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    called: list[Order] = []

    @function("typed", on=[EventTrigger("app/order", model=Order), EventTrigger("db/orders.*", model=Order)], retries=5)
    async def typed(ctx: Context) -> str:
        called.append(ctx.event.typed(Order))
        return called[-1].note

    data: dict[str, Any] = {"id": 7, "note": "fits"} if good else {"id": "swordfish"}
    async with engine.working(typed):
        await (engine.send if name.startswith("db/") else lambda *event: tell(engine, *event))(name, data)
        (run,) = await engine.ended()

    if good:
        assert (run["status"], run["output"], called[0]) == ("completed", "fits", Order(id=7, note="fits"))
    else:
        assert (run["status"], run["failures"], called) == ("failed", 0, [])
        assert run["error"]["name"] == "EventUnfit"
        assert "app/order does not fit Order: id (" in run["error"]["message"]
        assert "swordfish" not in str(run["error"]) + "".join(capsys.readouterr())


async def test_a_misfit_that_was_left_to_the_handler_is_an_error_of_the_handler(engine: Engine) -> None:
    @function("typed", on="app/order", retries=0)
    async def typed(ctx: Context) -> Sequence[str]:
        return ctx.event.typed(Order).note

    async with engine.working(typed):
        await tell(engine, "app/order", {"id": "x"})
        (run,) = await engine.ended()

    assert (run["status"], run["error"]["name"]) == ("failed", "ValidationError")
