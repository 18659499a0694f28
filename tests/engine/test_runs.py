"""Runs: sleeping, failing, handed over, fenced."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest

from cdc import Batch, Context, function
from cdc.engine import claims, heartbeat
from cdc.engine.heartbeat import Heartbeat
from cdc.errors import LeaseLost
from cdc.store import runs, workers
from cdc.store.connect import Connection
from tests.engine.harness import Engine
from tests.waiting import eventually


async def nothing() -> None:
    pass


async def test_a_sleeping_run_holds_no_memory_and_goes_on_when_due(engine: Engine) -> None:
    ran: Counter[str] = Counter()

    async def note(name: str) -> None:
        ran[name] += 1

    @function("welcome", on="db/users.inserted")
    async def welcome(ctx: Context) -> dict[str, int]:
        await ctx.step.run("send-welcome-email", note, "welcome")
        await ctx.step.sleep("wait-before-tips", "3d")
        await ctx.step.run("send-tips", note, "tips")
        return {"sent": 2}

    async with engine.working(welcome) as worker:
        await engine.send("db/users.inserted", {"email": "a@b"})
        await engine.run_is("sleeping")
        await eventually(lambda: worker.in_flight == 0)
        assert ran == {"welcome": 1}
        cursor = await engine.conn.execute("select due_at - now() from cdc_state.runs")
        (due,) = await cursor.fetchone() or (timedelta(),)
        assert timedelta(days=2, hours=23) < due <= timedelta(days=3)
        await engine.hurry()
        (run,) = await engine.ended()

    assert (run["status"], run["output"]) == ("completed", {"sent": 2})
    assert ran == {"welcome": 1, "tips": 1}


async def test_a_sleep_that_begins_while_the_next_run_is_looked_for_is_not_overslept(
    live_engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(claims, "POLL", 3600.0)
    engine, look = live_engine, runs.next_due
    looked, told = asyncio.Event(), asyncio.Event()

    async def answers_late(conn: Connection, functions: Sequence[str]) -> float | None:
        found = await look(conn, functions)
        looked.set()
        await told.wait()
        return found

    @function("nap", on="db/users.inserted")
    async def nap(ctx: Context) -> None:
        await ctx.step.run("wait", looked.wait)
        await ctx.step.sleep("nap", "200ms")

    async with engine.working(nap):
        pass
    await engine.send("db/users.inserted", {})
    monkeypatch.setattr(runs, "next_due", answers_late)
    async with engine.working(nap) as worker:
        await engine.run_is("sleeping")
        await eventually(lambda: worker.in_flight == 0)
        told.set()
        await engine.ended()


async def test_a_short_sleep_ends_by_itself(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(claims, "POLL", 3600.0)

    @function("nap", on="db/users.inserted")
    async def nap(ctx: Context) -> None:
        await ctx.step.sleep("nap", "200ms")
        await ctx.step.sleep_until("again", datetime.now(UTC) + timedelta(milliseconds=200))

    async with engine.working(nap):
        await engine.send("db/users.inserted", {})
        (run,) = await engine.ended()

    assert run["status"] == "completed"


async def test_sleeping_beside_a_running_step_keeps_both(engine: Engine) -> None:
    ran: Counter[str] = Counter()

    async def work() -> str:
        ran["work"] += 1
        await asyncio.sleep(0.05)
        return "done"

    @function("beside", on="db/users.inserted")
    async def beside(ctx: Context) -> str:
        result, _ = await asyncio.gather(ctx.step.run("work", work), ctx.step.sleep("long", "1h"))
        return result

    async with engine.working(beside):
        await engine.send("db/users.inserted", {})
        await engine.run_is("sleeping")
        (run,) = await engine.ended(hurried=True)

    assert run["output"] == "done"
    assert ran == {"work": 1}


async def test_a_failing_handler_is_tried_again_over_its_memos(engine: Engine) -> None:
    ran: Counter[str] = Counter()

    async def once() -> None:
        ran["step"] += 1

    @function("unsteady", on="db/users.inserted", retries=2)
    async def unsteady(ctx: Context) -> int:
        await ctx.step.run("once", once)
        if ctx.attempt < 3:
            raise RuntimeError("outside of steps")
        return ctx.attempt

    async with engine.working(unsteady):
        await engine.send("db/users.inserted", {})
        (run,) = await engine.ended(hurried=True)

    assert (run["status"], run["output"]) == ("completed", 3)
    assert ran == {"step": 1}


async def test_a_handler_out_of_attempts_fails_with_its_error(engine: Engine) -> None:
    @function("hopeless", on="db/users.inserted", retries=1)
    async def hopeless(ctx: Context) -> None:
        raise RuntimeError("never works")

    async with engine.working(hopeless):
        await engine.send("db/users.inserted", {})
        (run,) = await engine.ended(hurried=True)

    assert run["status"] == "failed"
    assert (run["error"]["name"], run["error"]["message"]) == ("RuntimeError", "never works")
    assert run["failures"] == 1


async def test_events_accepted_together_share_a_run_up_to_the_batch_size(engine: Engine) -> None:
    sizes: list[int] = []

    @function("batch", on="db/users.inserted", batch_events=Batch(max_size=10))
    async def batch(ctx: Context) -> None:
        sizes.append(len(ctx.events))

    async with engine.working(batch):
        await engine.send("db/users.inserted", *({"id": item} for item in range(25)))
        await engine.ended(3)

    assert sorted(sizes) == [5, 10, 10]


async def test_runs_of_a_dead_worker_go_on_elsewhere_without_repeating_a_recorded_step(live_engine: Engine) -> None:
    engine = live_engine
    ran: Counter[str] = Counter()
    stuck = asyncio.Event()

    async def first() -> str:
        ran["first"] += 1
        return "first"

    async def second() -> str:
        ran["second"] += 1
        if ran["second"] == 1:
            stuck.set()
            await asyncio.get_running_loop().create_future()
        return "second"

    @function("handed-over", on="db/users.inserted")
    async def handed_over(ctx: Context) -> list[str]:
        return [await ctx.step.run("first", first), await ctx.step.run("second", second)]

    async with engine.doomed(handed_over):
        await engine.send("db/users.inserted", {})
        await stuck.wait()
    expired, rescued = await engine.end_leases()
    assert (len(expired), rescued) == (1, 1)
    async with engine.working(handed_over):
        (run,) = await engine.ended()

    assert run["output"] == ["first", "second"]
    assert ran == {"first": 1, "second": 2}


async def test_a_worker_whose_lease_was_ended_writes_nothing_more(
    live_engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(heartbeat, "BEATS", 200)
    engine = live_engine
    reached, go_on = asyncio.Event(), asyncio.Event()

    async def slow() -> str:
        reached.set()
        await go_on.wait()
        return "too late"

    @function("fenced", on="db/users.inserted")
    async def fenced(ctx: Context) -> str:
        return await ctx.step.run("slow", slow)

    async with engine.doomed(fenced) as life:
        await engine.send("db/users.inserted", {})
        await reached.wait()
        await engine.end_leases()
        go_on.set()
        with pytest.raises(LeaseLost):
            await asyncio.wait_for(life, 60)

    assert await engine.steps() == {}
    assert [run["status"] for run in await engine.runs()] == ["queued"]


async def test_a_handler_cannot_catch_that_its_run_was_given_away(live_engine: Engine) -> None:
    engine = live_engine
    reached, go_on = asyncio.Event(), asyncio.Event()
    after: list[str] = []

    async def slow() -> None:
        reached.set()
        await go_on.wait()

    async def instead() -> None:
        after.append("instead")

    @function("careful", on="db/users.inserted")
    async def careful(ctx: Context) -> None:
        try:
            await ctx.step.run("slow", slow)
        except Exception:
            after.append("caught")
            await ctx.step.run("instead", instead)

    async with engine.doomed(careful, lease=3600) as life:
        await engine.send("db/users.inserted", {})
        await reached.wait()
        await engine.end_leases()
        go_on.set()
        await eventually(lambda: engine.workers[0].in_flight == 0)
        assert not life.done()

    assert after == []


async def test_no_body_begins_in_a_worker_whose_lease_has_run_out(
    live_engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = live_engine
    ran: list[str] = []
    monkeypatch.setattr(Heartbeat, "is_good", lambda self: not ran)

    async def first() -> None:
        ran.append("first")

    async def second() -> None:
        ran.append("second")

    @function("stood-still", on="db/users.inserted")
    async def stood_still(ctx: Context) -> None:
        await ctx.step.run("first", first)
        await ctx.step.run("second", second)

    async with engine.doomed(stood_still):
        await engine.send("db/users.inserted", {})
        await eventually(lambda: ran and engine.workers[0].in_flight == 0)

    assert ran == ["first"]
    assert [run["status"] for run in await engine.runs()] == ["running"]


async def test_a_blocked_event_loop_keeps_its_lease(live_engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(heartbeat, "BEATS", 200)
    leases: list[datetime] = []

    async def blocks_the_loop() -> None:
        """Until the lease was renewed twice meanwhile: the mistake that this is about."""
        give_up = time.monotonic() + 60
        with workers.heartbeat_connection(live_engine.url) as conn:
            while len(leases) < 3 and time.monotonic() < give_up:
                ((until,),) = conn.execute("select lease_until from cdc_state.workers").fetchall()
                if until not in leases:
                    leases.append(until)
                time.sleep(0.01)  # noqa: ASYNC251

    @function("blocks", on="db/users.inserted")
    async def blocks(ctx: Context) -> None:
        await ctx.step.run("block", blocks_the_loop)

    async with live_engine.working(blocks):
        await live_engine.send("db/users.inserted", {})
        (run,) = await live_engine.ended(within=120)

    assert (run["status"], run["claims"]) == ("completed", 1)
    assert len(leases) == 3
    assert leases == sorted(leases)


async def test_two_workers_share_the_work_and_run_nothing_twice(live_engine: Engine) -> None:
    ran: Counter[int] = Counter()

    async def work(item: int) -> None:
        ran[item] += 1

    @function("shared", on="db/users.inserted")
    async def shared(ctx: Context) -> None:
        await ctx.step.run("work", work, ctx.event.data["new"]["id"])

    async with live_engine.working(shared), live_engine.working(shared):
        for start in range(0, 2000, 100):
            await live_engine.send("db/users.inserted", *({"id": start + item} for item in range(100)))
        runs = await live_engine.ended(2000)

    assert {run["status"] for run in runs} == {"completed"}
    assert ran == dict.fromkeys(range(2000), 1)


async def test_stopping_gives_unfinished_runs_back_with_their_memos(live_engine: Engine) -> None:
    engine = live_engine
    ran: Counter[str] = Counter()
    waiting = asyncio.Event()

    async def first() -> None:
        ran["first"] += 1

    async def endless() -> None:
        waiting.set()
        await asyncio.get_running_loop().create_future()

    @function("unfinished", on="db/users.inserted")
    async def unfinished(ctx: Context) -> None:
        await ctx.step.run("first", first)
        await ctx.step.run("second", endless if ran["handed over"] == 0 else nothing)

    async with engine.working(unfinished, grace=0.1):
        await engine.send("db/users.inserted", {})
        await waiting.wait()
    assert [run["status"] for run in await engine.runs()] == ["queued"]
    ran["handed over"] = 1
    async with engine.working(unfinished):
        await engine.ended()

    assert ran["first"] == 1


async def test_a_worker_survives_the_loss_of_all_its_connections(live_engine: Engine) -> None:
    engine = live_engine
    ran: Counter[int] = Counter()

    async def work(item: int) -> int:
        ran[item] += 1
        await asyncio.sleep(0.01)
        return item

    @function("survivor", on="db/users.inserted", retries=0)
    async def survivor(ctx: Context) -> None:
        for item in range(3):
            await ctx.step.run(f"work-{item}", work, item)

    async with engine.working(survivor):
        await engine.send("db/users.inserted", *({"id": item} for item in range(200)))
        for _ in range(5):
            await engine.conn.execute(
                "select pg_terminate_backend(pid) from pg_stat_activity "
                "where datname = current_database() and pid <> pg_backend_pid() and application_name = 'cdc'"
            )
            await asyncio.sleep(0.02)
        runs = await engine.ended(200)

    assert {run["status"] for run in runs} == {"completed"}
    cursor = await engine.conn.execute("select count(*) from cdc_state.steps where ended_at is not null")
    assert await cursor.fetchone() == (600,)


async def test_functions_of_no_live_worker_are_archived_and_come_back(live_engine: Engine) -> None:
    engine = live_engine

    @function("old", on="db/users.inserted")
    async def old(ctx: Context) -> None:
        pass

    @function("new", on="db/users.inserted")
    async def new(ctx: Context) -> None:
        pass

    async def in_force() -> list[str]:
        cursor = await engine.conn.execute("select id from cdc_state.functions where archived_at is null order by id")
        return [row[0] for row in await cursor.fetchall()]

    async with engine.working(old), engine.working(new):
        assert await in_force() == ["new", "old"]
    assert await in_force() == ["new", "old"], "a restart must not miss events that come meanwhile"
    async with engine.working(new):
        assert await in_force() == ["new"]
    async with engine.working(new, old):
        assert await in_force() == ["new", "old"]
        await engine.send("db/users.inserted", {})
        await engine.ended(2)


async def test_a_function_registered_after_the_door_opened_misses_nothing(live_engine: Engine) -> None:
    engine = live_engine
    await engine.send("db/users.inserted", {"id": 1})

    @function("late", on="db/users.inserted")
    async def late(ctx: Context) -> int:
        return int(ctx.event.data["new"]["id"])

    async with engine.working(late):
        await engine.send("db/users.inserted", {"id": 2})
        runs = await engine.ended()

    assert [run["output"] for run in runs] == [2]
