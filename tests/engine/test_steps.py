"""Steps: memoised, retried, typed."""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from pydantic import BaseModel

from cdc import Context, NonRetriableError, RetryAfter, StepError, function
from tests.engine.harness import Engine
from tests.waiting import eventually


class Email(BaseModel):
    to: str
    sent_at: datetime


@dataclass
class Point:
    x: int
    y: float


async def test_each_step_runs_once_and_its_result_reaches_the_next(engine: Engine) -> None:
    ran: Counter[str] = Counter()

    async def double(name: str, value: int) -> int:
        ran[name] += 1
        return value * 2

    @function("chain", on="db/users.inserted")
    async def chain(ctx: Context) -> dict[str, int]:
        first = await ctx.step.run("first", double, "first", ctx.event.data["new"]["id"])
        second = await ctx.step.run("second", double, "second", first)
        return {"result": await ctx.step.run("third", double, "third", second)}

    async with engine.working(chain):
        await engine.send("db/users.inserted", {"id": 5})
        (run,) = await engine.ended()

    assert (run["status"], run["output"]) == ("completed", {"result": 40})
    assert ran == {"first": 1, "second": 1, "third": 1}
    assert {name: step["data"] for name, step in (await engine.steps()).items()} == {
        "first": 10,
        "second": 20,
        "third": 40,
    }


async def test_a_result_has_its_declared_type_live_and_replayed(engine: Engine) -> None:
    seen: list[Any] = []

    async def send(to: str) -> Email:
        return Email(to=to, sent_at=datetime(2026, 1, 2, tzinfo=UTC))

    def locate() -> Point:
        return Point(1, 2.5)

    async def pair() -> tuple[int, str]:
        return (1, "a")

    @function("typed", on="db/users.inserted")
    async def typed(ctx: Context) -> None:
        seen[:] = [
            await ctx.step.run("email", send, "a@b"),
            await ctx.step.run("point", locate),
            await ctx.step.run("pair", pair),
        ]

    async with engine.working(typed):
        await engine.send("db/users.inserted", {})
        await engine.ended()

    assert seen == [Email(to="a@b", sent_at=datetime(2026, 1, 2, tzinfo=UTC)), Point(1, 2.5), (1, "a")]


async def test_a_repeated_step_id_is_numbered(engine: Engine) -> None:
    async def same(value: int) -> int:
        return value

    @function("loop", on="db/users.inserted")
    async def loop(ctx: Context) -> list[int]:
        return [await ctx.step.run("item", same, item) for item in range(3)]

    async with engine.working(loop):
        await engine.send("db/users.inserted", {})
        (run,) = await engine.ended()

    assert run["output"] == [0, 1, 2]
    assert list(await engine.steps()) == ["item", "item:1", "item:2"]


async def test_a_plain_function_runs_in_a_thread(engine: Engine) -> None:
    threads: list[str] = []

    def blocking() -> None:
        threads.append(threading.current_thread().name)

    @function("thread", on="db/users.inserted")
    async def thread(ctx: Context) -> None:
        await ctx.step.run("block", blocking)

    async with engine.working(thread):
        await engine.send("db/users.inserted", {})
        await engine.ended()

    assert threads
    assert threads != [threading.main_thread().name]


async def test_a_failing_step_is_tried_again_and_then_goes_on(engine: Engine) -> None:
    attempts: list[int] = []

    async def flaky() -> str:
        attempts.append(len(attempts) + 1)
        if len(attempts) < 3:
            raise ConnectionError("not yet")
        return "at last"

    @function("flaky", on="db/users.inserted", retries=3)
    async def handler(ctx: Context) -> str:
        return await ctx.step.run("call", flaky)

    async with engine.working(handler):
        await engine.send("db/users.inserted", {})
        (run,) = await engine.ended(hurried=True)

    assert (run["status"], run["output"]) == ("completed", "at last")
    assert attempts == [1, 2, 3]
    assert (await engine.steps())["call"]["attempts"] == 3


async def test_attempts_are_one_two_and_four_seconds_apart(live_engine: Engine) -> None:
    # Noted where it is decided: whoever only looked would sometimes find the next attempt made already.
    for statement in (
        "create table pauses (number int generated always as identity, seconds float8)",
        "create function note() returns trigger language plpgsql as $$ begin"
        # A run that is hurried before its step is finds that it has to wait on: that is no attempt.
        " insert into pauses (seconds) select extract(epoch from new.due_at - now())"
        "  where (select count(*) from cdc_state.attempts) > (select count(*) from pauses); return null; end $$",
        "create trigger note after update on cdc_state.runs for each row"
        " when (old.status = 'running' and new.status = 'queued') execute function note()",
    ):
        await live_engine.conn.execute(statement)

    async def broken() -> None:
        raise ConnectionError("no")

    @function("broken", on="db/users.inserted", retries=3)
    async def handler(ctx: Context) -> None:
        await ctx.step.run("call", broken)

    async with live_engine.working(handler):
        await live_engine.send("db/users.inserted", {})
        await live_engine.ended(hurried=True)

    cursor = await live_engine.conn.execute("select seconds from pauses order by number")
    assert await cursor.fetchall() == [(1.0,), (2.0,), (4.0,)]


async def test_a_step_out_of_attempts_raises_where_it_is_awaited_and_may_be_caught(engine: Engine) -> None:
    async def broken() -> None:
        raise KeyError("gone")

    async def instead() -> str:
        return "fallback"

    @function("catches", on="db/users.inserted", retries=1)
    async def catches(ctx: Context) -> dict[str, str]:
        try:
            await ctx.step.run("call", broken)
        except StepError as error:
            return {"error": error.name, "then": await ctx.step.run("instead", instead)}
        raise AssertionError("not reached")

    async with engine.working(catches):
        await engine.send("db/users.inserted", {})
        (run,) = await engine.ended(hurried=True)

    assert (run["status"], run["output"]) == ("completed", {"error": "KeyError", "then": "fallback"})


async def test_an_uncaught_step_error_fails_the_run_without_trying_the_handler_again(engine: Engine) -> None:
    attempts: list[int] = []

    async def broken() -> None:
        attempts.append(1)
        raise ValueError("always")

    @function("fails", on="db/users.inserted", retries=2)
    async def fails(ctx: Context) -> None:
        await ctx.step.run("call", broken)

    async with engine.working(fails):
        await engine.send("db/users.inserted", {})
        (run,) = await engine.ended(hurried=True)

    assert run["status"] == "failed"
    assert run["error"]["name"] == "StepError"
    assert "ValueError: always" in run["error"]["message"]
    assert len(attempts) == 3


async def test_a_non_retriable_error_is_final(engine: Engine) -> None:
    attempts: list[int] = []

    async def refused() -> None:
        attempts.append(1)
        raise NonRetriableError("no such tenant")

    @function("final", on="db/users.inserted", retries=5)
    async def final(ctx: Context) -> None:
        await ctx.step.run("call", refused)

    async with engine.working(final):
        await engine.send("db/users.inserted", {})
        (run,) = await engine.ended()

    assert run["status"] == "failed"
    assert attempts == [1]


async def test_retry_after_says_when(live_engine: Engine) -> None:
    async def limited() -> None:
        raise RetryAfter("slow down", "1h")

    @function("limited", on="db/users.inserted")
    async def handler(ctx: Context) -> None:
        await ctx.step.run("call", limited)

    async with live_engine.working(handler):
        await live_engine.send("db/users.inserted", {})
        await live_engine.run_is("queued")

        async def due_in_an_hour() -> bool:
            cursor = await live_engine.conn.execute("select due_at - now() from cdc_state.runs")
            (due,) = await cursor.fetchone() or (timedelta(),)
            return bool(timedelta(minutes=59) < due <= timedelta(hours=1))

        await eventually(due_in_an_hour)


async def test_a_result_that_is_not_json_fails_the_step_at_once_and_names_it(engine: Engine) -> None:
    attempts: list[int] = []

    async def odd() -> Any:
        attempts.append(1)
        return object()

    @function("odd", on="db/users.inserted", retries=5)
    async def handler(ctx: Context) -> None:
        await ctx.step.run("make-object", odd)

    async with engine.working(handler):
        await engine.send("db/users.inserted", {})
        (run,) = await engine.ended()

    assert run["status"] == "failed"
    assert "'make-object'" in run["error"]["message"]
    assert attempts == [1]


async def test_odd_but_valid_json_survives(engine: Engine) -> None:
    odd = {"nul": "\x00", "surrogate": "\ud800", "big": 2**80, "text": "\u2028 ünïcode"}

    async def value() -> dict[str, Any]:
        return odd

    seen: list[Any] = []

    @function("odd-json", on="db/users.inserted")
    async def handler(ctx: Context) -> None:
        seen.append(await ctx.step.run("value", value))

    async with engine.working(handler):
        await engine.send("db/users.inserted", {})
        (run,) = await engine.ended()

    assert run["status"] == "completed"
    assert seen[-1] == odd


async def test_a_record_that_cannot_be_stored_harms_only_its_own_run(live_engine: Engine) -> None:
    async def value() -> int:
        return 1

    @function("mixed", on="db/users.inserted", retries=0)
    async def handler(ctx: Context) -> int:
        await ctx.step.run("a\x00b" if ctx.event.data["new"]["bad"] else "ab", value)
        return await ctx.step.run("second", value)

    async with live_engine.working(handler):
        await live_engine.send("db/users.inserted", *({"bad": item == 7} for item in range(20)))
        runs = await live_engine.ended(20)

    assert sorted(run["status"] for run in runs) == ["completed"] * 19 + ["failed"]
    (failed,) = (run for run in runs if run["status"] == "failed")
    assert "cannot be stored" in failed["error"]["message"]


async def test_parallel_steps_each_run_once(engine: Engine) -> None:
    ran: Counter[int] = Counter()

    async def work(item: int) -> int:
        ran[item] += 1
        await asyncio.sleep(0)
        return item

    @function("parallel", on="db/users.inserted")
    async def handler(ctx: Context) -> list[int]:
        return list(await asyncio.gather(*(ctx.step.run(f"item-{item}", work, item) for item in range(10))))

    async with engine.working(handler):
        await engine.send("db/users.inserted", {})
        (run,) = await engine.ended()

    assert run["output"] == list(range(10))
    assert ran == dict.fromkeys(range(10), 1)


async def test_a_parallel_step_that_fails_does_not_undo_its_siblings(engine: Engine) -> None:
    ran: Counter[str] = Counter()

    async def good() -> str:
        ran["good"] += 1
        await asyncio.sleep(0.05)
        return "good"

    async def flaky() -> str:
        ran["flaky"] += 1
        if ran["flaky"] == 1:
            raise ConnectionError("once")
        return "flaky"

    @function("siblings", on="db/users.inserted")
    async def handler(ctx: Context) -> list[str]:
        return list(await asyncio.gather(ctx.step.run("good", good), ctx.step.run("flaky", flaky)))

    async with engine.working(handler):
        await engine.send("db/users.inserted", {})
        (run,) = await engine.ended(hurried=True)

    assert run["output"] == ["good", "flaky"]
    assert ran == {"good": 1, "flaky": 2}
