"""What people do with runs and functions, while workers work."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

import pytest

from cdc import Batch, Cancel, Concurrency, Context, Debounce, Singleton, function
from cdc.engine import claims
from cdc.events.hands import Hands
from cdc.store import choice, looking
from cdc.store.choice import UNFINISHED, Choice
from tests.engine.harness import Engine
from tests.servers import Connect
from tests.waiting import eventually

USER = "db/users.inserted"


async def nothing() -> None:
    pass


async def test_a_run_that_is_cancelled_stops_at_once_and_its_place_goes_to_the_next(
    live_engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(claims, "POLL", 3600.0)
    begun: list[int] = []
    stopped = asyncio.Event()

    @function("long", on=USER, concurrency=1)
    async def long(ctx: Context) -> None:
        await ctx.step.run("work", work, ctx.event.data["new"]["n"])

    async def work(number: int) -> None:
        begun.append(number)
        if number == 0:
            try:
                await asyncio.Event().wait()
            finally:
                stopped.set()

    async with live_engine.working(long) as worker:
        await live_engine.send(USER, {"n": 0}, {"n": 1})
        await eventually(lambda: begun == [0])
        first, _ = await live_engine.runs()
        assert await Hands(live_engine.conn).cancel([first["id"]], "by hand") == [first["id"]]
        worker.wake()
        await asyncio.wait_for(stopped.wait(), 30)
        runs = await live_engine.ended(2)

    assert [run["status"] for run in runs] == ["cancelled", "completed"]
    assert runs[0]["error"] == {"name": "RunCancelled", "message": "by hand"}
    assert begun == [0, 1]
    assert await gates_taken(live_engine) == 0


async def test_a_cancelled_run_writes_nothing_more_and_is_not_cancelled_twice(live_engine: Engine) -> None:
    @function("asleep", on=USER)
    async def asleep(ctx: Context) -> None:
        await ctx.step.sleep("long", "1h")

    async with live_engine.working(asleep):
        await live_engine.send(USER, {})
        await live_engine.run_is("sleeping")
        (run,) = await live_engine.runs()
        assert await Hands(live_engine.conn).cancel([run["id"]], "first") == [run["id"]]
        assert await Hands(live_engine.conn).cancel([run["id"]], "second") == []
        await live_engine.hurry()
        async with live_engine.working(asleep):
            pass
        (run,) = await live_engine.runs()
    assert (run["status"], run["error"]["message"]) == ("cancelled", "first")


async def test_the_cancellation_is_told_and_answers_who_invoked_the_run(engine: Engine) -> None:
    told: list[str] = []

    @function("asleep", on="app/never")
    async def asleep(ctx: Context) -> None:
        await ctx.step.sleep("long", "1h")

    @function("caller", on=USER, retries=0)
    async def caller(ctx: Context) -> None:
        await ctx.step.invoke("call", asleep)

    @function("witness", on="inngest/function.cancelled")
    async def witness(ctx: Context) -> None:
        told.append(ctx.event.data["function_id"])

    async with engine.working(asleep, caller, witness):
        await engine.send(USER, {})
        run = await eventually(lambda: run_of(engine, "asleep", "sleeping"))
        await Hands(engine.conn).cancel([run["id"]], "by hand")
        engine.wake()
        await engine.ended(3)
        calling = await run_of(engine, "caller", "failed")

    assert "by hand" in calling["error"]["message"]
    assert told == ["asleep"]


async def test_a_failed_run_is_replayed_with_the_code_as_it_is_now(engine: Engine) -> None:
    @function("greet", on=USER, retries=0)
    async def broken(ctx: Context) -> None:
        raise RuntimeError("not yet written")

    @function("greet", on="app/something.else")
    async def mended(ctx: Context) -> str:
        return f"Hello, {ctx.event.data['new']['name']}!"

    async with engine.working(broken):
        await engine.send(USER, {"name": "Ada"})
        (failed,) = await engine.ended()
    async with engine.working(mended):
        repeated = await Hands(engine.conn).replay([failed["id"]])
        engine.wake()
        old, new = await engine.ended(2)

    assert repeated.skipped == {}
    assert repeated.runs == {failed["id"]: new["id"]}
    assert old["status"] == "failed"
    assert (new["status"], new["output"]) == ("completed", "Hello, Ada!")
    shown = await looking.run(engine.conn, new["id"])
    assert shown is not None
    assert shown["replays"] == old["id"]


async def test_a_replay_has_all_events_of_its_batch(engine: Engine) -> None:
    @function("index", on=USER, batch_events=Batch(10, timeout="1h"))
    async def index(ctx: Context) -> list[int]:
        return [event.data["new"]["n"] for event in ctx.events]

    async with engine.working(index):
        await engine.send(USER, *({"n": number} for number in range(3)))
        (run,) = await engine.ended(hurried=True)
        await Hands(engine.conn).replay([run["id"]])
        engine.wake()
        first, second = await engine.ended(2)
    assert first["output"] == second["output"] == [0, 1, 2]


async def test_idempotency_and_debounce_do_not_hold_a_replay_back(engine: Engine) -> None:
    @function("once", on=USER, idempotency="event.data.new.n")
    async def once(ctx: Context) -> None: ...

    @function("calm", on=USER, debounce=Debounce("1h"))
    async def calm(ctx: Context) -> None: ...

    async with engine.working(once, calm):
        await engine.send(USER, {"n": 1})
        runs = await engine.ended(2, hurried=True)
        repeated = await Hands(engine.conn).replay([run["id"] for run in runs])
        engine.wake()
        assert len(repeated.runs) == 2
        assert Counter(run["status"] for run in await engine.ended(4)) == {"completed": 4}


async def test_a_replay_is_under_the_limits_of_its_function(live_engine: Engine) -> None:
    most, now = 0, 0

    async def work() -> None:
        nonlocal most, now
        now += 1
        most = max(most, now)
        await asyncio.sleep(0.001)
        now -= 1

    @function("narrow", on=USER, concurrency=Concurrency(2))
    async def narrow(ctx: Context) -> None:
        await ctx.step.run("work", work)

    async with live_engine.working(narrow):
        await live_engine.send(USER, *({} for _ in range(20)))
        runs = await live_engine.ended(20)
        await Hands(live_engine.conn).replay([run["id"] for run in runs])
        live_engine.wake()
        await live_engine.ended(40)
    assert most == 2
    assert await gates_taken(live_engine) == 0


async def test_what_cannot_be_replayed_is_skipped_with_its_reason(live_engine: Engine) -> None:
    @function("alone", on=USER, singleton=Singleton(mode="skip"))
    async def alone(ctx: Context) -> None:
        if ctx.event.data["new"]["n"]:
            await ctx.step.sleep("long", "1h")

    @function("gone", on=USER)
    async def gone(ctx: Context) -> None: ...

    async with live_engine.working(alone, gone):
        await live_engine.send(USER, {"n": 0})
        ended = {run["function"]: run["id"] for run in await live_engine.ended(2)}
        await live_engine.send(USER, {"n": 1})
        running = await eventually(lambda: run_of(live_engine, "alone", "sleeping"))
        await live_engine.ended(3)
        await live_engine.conn.execute("update cdc_state.functions set archived_at = now() where id = 'gone'")
        await live_engine.conn.execute("update cdc_state.registry set version = version + 1")
        nobody = "00000000-0000-7000-8000-000000000000"
        repeated = await Hands(live_engine.conn).replay([*ended.values(), running["id"], nobody])

    assert repeated.runs == {}
    assert repeated.skipped == {
        ended["alone"]: "another run of this singleton is under way",
        ended["gone"]: "there is no function 'gone' any more",
        running["id"]: "it has not ended",
        nobody: "there is no such run",
    }


async def test_a_replay_is_cancelled_by_what_cancels_its_function(live_engine: Engine) -> None:
    @function("order", on=USER, cancel_on=Cancel("db/users.deleted", match="data.new.id"))
    async def order(ctx: Context) -> None:
        await ctx.step.sleep("long", "1h")

    async with live_engine.working(order):
        await live_engine.send(USER, {"id": 7})
        await live_engine.run_is("sleeping")
        (run,) = await live_engine.ended(hurried=True)
        await Hands(live_engine.conn).replay([run["id"]])
        live_engine.wake()
        await eventually(lambda: run_of(live_engine, "order", "sleeping"))
        await live_engine.send("db/users.deleted", {"id": 7})
        assert [run["status"] for run in await live_engine.ended(2)] == ["completed", "cancelled"]


@pytest.mark.parametrize(
    "options",
    [{}, {"concurrency": 3}, {"batch_events": Batch(5)}, {"order_by": "event.data.new.key"}, {"priority": "1"}],
    ids=lambda options: next(iter(options), "plain"),
)
async def test_pausing_and_resuming_under_load_loses_nothing(
    live_engine: Engine, connect: Connect, options: Any
) -> None:
    seen: Counter[int] = Counter()

    @function("busy", on=USER, **options)
    async def busy(ctx: Context) -> None:
        for event in ctx.events:
            seen[event.data["new"]["n"]] += 1
        await ctx.step.run("pause", asyncio.sleep, 0.001)

    async with live_engine.working(busy):
        hands = Hands(await connect(live_engine.url))
        pausing = asyncio.create_task(pause_and_resume(hands, live_engine, 10))
        number = 0
        while not pausing.done():
            await live_engine.send(USER, *({"n": number + each, "key": each % 2} for each in range(5)))
            number += 5
        await pausing
        await eventually(lambda: len(seen) == number, within=60)

        async def done() -> bool:
            return all(run["status"] == "completed" for run in await live_engine.runs())

        await eventually(done, within=60)
    assert set(seen) == set(range(number))
    assert max(seen.values()) == 1
    assert await gates_taken(live_engine) == 0


async def test_a_paused_function_starts_nothing_and_goes_on_with_what_it_began(live_engine: Engine) -> None:
    begun: list[int] = []

    @function("held", on=USER, concurrency=1)
    async def held(ctx: Context) -> None:
        begun.append(ctx.event.data["new"]["n"])
        await ctx.step.sleep("nap", "1h")

    async with live_engine.working(held):
        hands = Hands(live_engine.conn)
        await live_engine.send(USER, {"n": 0})
        await live_engine.run_is("sleeping")
        assert await hands.pause("held") == 0
        await live_engine.send(USER, {"n": 1}, {"n": 2})
        await hands.invoke("held", b'{"new": {"n": 3}}')
        await live_engine.hurry()
        await live_engine.ended(1)
        assert begun == [0, 0]
        assert Counter(run["status"] for run in await live_engine.runs()) == {"completed": 1, "queued": 3}

        assert await hands.resume("held") == 3
        await live_engine.ended(4, hurried=True)
    assert set(begun) == {0, 1, 2, 3}


async def test_an_unknown_function_can_be_neither_paused_nor_invoked(live_engine: Engine) -> None:
    hands = Hands(live_engine.conn)
    assert await hands.pause("nobody") is None
    assert await hands.resume("nobody") is None
    assert await hands.invoke("nobody", b"{}") is None


async def test_a_signal_reaches_the_one_run_that_waits_for_it(engine: Engine) -> None:
    @function("approval", on=USER)
    async def approval(ctx: Context) -> Any:
        return await ctx.step.wait_for_signal("wait", "approved", "1h")

    hands = Hands(engine.conn)
    async with engine.working(approval):
        assert await hands.signal("approved", b"{}") is None
        await engine.send(USER, {})
        await engine.run_is("waiting")
        (run,) = await engine.runs()
        assert await hands.signal("approved", b'{"by": "Ada"}') == run["id"]
        engine.wake()
        (run,) = await engine.ended()
        assert await hands.signal("approved", b"{}") is None
    assert run["output"] == {"by": "Ada"}


async def test_a_choice_has_the_runs_that_it_describes_and_no_later_ones(live_engine: Engine) -> None:
    @function("one", on=USER)
    async def one(ctx: Context) -> None: ...

    @function("two", on=USER, retries=0)
    async def two(ctx: Context) -> None:
        raise RuntimeError

    async with live_engine.working(one, two):
        await live_engine.send(USER, {}, {})
        await live_engine.ended(4)
        conn = live_engine.conn
        everything = await choice.count(conn, Choice())
        failed = await choice.count(conn, Choice(functions=["one", "two"], statuses=["failed"]))
        await live_engine.send(USER, {})
        await live_engine.ended(6)

    assert (everything.runs, failed.runs) == (4, 2)
    assert len([id_ async for page in choice.pages(conn, everything.choice, 3) for id_ in page]) == 4
    assert (await choice.count(conn, Choice(since=everything.choice.until))).runs == 2
    assert (await choice.count(conn, Choice(until=everything.choice.until, functions=["one"]))).runs == 2
    assert (await choice.count(conn, Choice(statuses=UNFINISHED))).runs == 0


async def pause_and_resume(hands: Hands, engine: Engine, times: int) -> None:
    for _ in range(times):
        await hands.pause("busy")
        await asyncio.sleep(0.02)
        await hands.resume("busy")
        engine.wake()
        await asyncio.sleep(0.02)


async def run_of(engine: Engine, function_id: str, status: str) -> dict[str, Any]:
    found = [run for run in await engine.runs() if (run["function"], run["status"]) == (function_id, status)]
    return found[-1] if found else {}


async def gates_taken(engine: Engine) -> int:
    cursor = await engine.conn.execute(
        "select coalesce(sum(taken), 0) from cdc_state.gates where name not like 'turn%'"
    )
    row = await cursor.fetchone()
    assert row is not None
    return int(row[0])
