"""step.transaction: the author's writes and the step's record are one commit."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from cdc import Context, function
from tests.engine.harness import Engine
from tests.servers import Connect, Connection
from tests.waiting import eventually


@pytest.fixture(autouse=True)
async def paid(migrated_url: str, connect: Connect) -> None:
    await (await connect(migrated_url)).execute("create table paid (amount integer)")


async def amounts(engine: Engine) -> list[int]:
    cursor = await engine.conn.execute("select amount from paid order by amount")
    return [row[0] for row in await cursor.fetchall()]


async def pay(conn: Connection) -> str:
    await conn.execute("insert into paid values (5)")
    return "paid"


async def test_what_it_wrote_is_there_with_the_record(engine: Engine) -> None:
    @function("pays", on="db/users.inserted", retries=2)
    async def pays(ctx: Context) -> str:
        result = await ctx.step.transaction("pay", pay)
        if ctx.attempt < 3:
            raise RuntimeError("after the step")
        return result

    async with engine.working(pays):
        await engine.send("db/users.inserted", {})
        (run,) = await engine.ended(hurried=True)

    assert (run["status"], run["output"]) == ("completed", "paid")
    assert await amounts(engine) == [5]


async def test_what_a_failed_attempt_wrote_is_undone(engine: Engine) -> None:
    attempts = 0

    async def flaky(conn: Connection) -> None:
        nonlocal attempts
        attempts += 1
        await pay(conn)
        if attempts < 3:
            raise ConnectionError("not yet")

    @function("pays", on="db/users.inserted", retries=2)
    async def pays(ctx: Context) -> None:
        await ctx.step.transaction("pay", flaky)

    async with engine.working(pays):
        await engine.send("db/users.inserted", {})
        (run,) = await engine.ended(hurried=True)

    assert (run["status"], attempts) == ("completed", 3)
    assert await amounts(engine) == [5]


async def test_a_body_that_commits_or_gives_no_json_leaves_nothing(engine: Engine) -> None:
    async def commits(conn: Connection) -> None:
        await pay(conn)
        await conn.commit()

    async def odd(conn: Connection) -> Any:
        await pay(conn)
        return object()

    @function("pays", on="db/users.inserted", retries=0)
    async def pays(ctx: Context) -> None:
        await ctx.step.transaction("pay", commits if ctx.event.data["new"]["commits"] else odd)

    async with engine.working(pays):
        await engine.send("db/users.inserted", {"commits": True}, {"commits": False})
        runs = await engine.ended(2)

    assert {run["status"] for run in runs} == {"failed"}
    assert await amounts(engine) == []


async def test_a_commit_whose_answer_was_lost_is_not_repeated_even_on_the_last_attempt(engine: Engine) -> None:
    bodies = 0
    await engine.conn.execute(
        "create function lose() returns trigger language plpgsql as $$ begin"
        " perform pg_terminate_backend(pid) from pg_stat_activity where pid = pg_backend_pid(); return null; end $$"
    )

    async def dies(conn: Connection) -> str:
        nonlocal bodies
        bodies += 1
        if bodies == 1:  # the server ends the connection in the midst of the commit
            await conn.execute(
                "create constraint trigger lose after insert on paid deferrable initially deferred"
                " for each row execute function lose()"
            )
        return await pay(conn)

    @function("pays", on="db/users.inserted", retries=0)
    async def pays(ctx: Context) -> str:
        return await ctx.step.transaction("pay", dies)

    async with engine.working(pays):
        await engine.send("db/users.inserted", {})
        (run,) = await engine.ended(hurried=True)

    assert (run["status"], run["output"]) == ("completed", "paid")
    assert await amounts(engine) == [5]


async def test_a_repetition_of_what_was_committed_is_undone_and_has_the_first_result(live_engine: Engine) -> None:
    engine, bodies = live_engine, 0

    async def twice(conn: Connection) -> str:
        nonlocal bodies
        bodies += 1
        await pay(conn)
        if bodies == 1:  # as if an earlier attempt, whose end nobody saw, committed now
            cursor = await engine.conn.execute("select id from cdc_state.runs")
            await engine.conn.execute(
                "insert into cdc_state.steps (run_id, id, kind, attempts, data, started_at, ended_at)"
                " values (%s, 'pay', 'run', 1, '\"first\"', now(), now())",
                await cursor.fetchone(),
            )
        return "second"

    @function("pays", on="db/users.inserted", retries=0)
    async def pays(ctx: Context) -> str:
        return await ctx.step.transaction("pay", twice)

    async with engine.working(pays):
        await engine.send("db/users.inserted", {})
        (run,) = await engine.ended(hurried=True)

    assert run["output"] == "first"
    assert bodies == 1
    assert await amounts(engine) == []


async def test_a_worker_without_its_lease_commits_nothing(live_engine: Engine) -> None:
    engine, reached, go_on = live_engine, asyncio.Event(), asyncio.Event()

    async def slow(conn: Connection) -> None:
        await pay(conn)
        reached.set()
        await go_on.wait()

    @function("pays", on="db/users.inserted")
    async def pays(ctx: Context) -> None:
        await ctx.step.transaction("pay", slow)

    async with engine.doomed(pays, lease=3600) as life:
        await engine.send("db/users.inserted", {})
        await reached.wait()
        await engine.end_leases()
        (worker,) = engine.workers
        go_on.set()
        await eventually(lambda: worker.in_flight == 0)
        assert not life.done()

    assert await amounts(engine) == []
    assert await engine.steps() == {}


async def test_where_the_state_lives_elsewhere_it_is_refused(engine: Engine) -> None:
    engine.has_state = False

    @function("pays", on="db/users.inserted", retries=5)
    async def pays(ctx: Context) -> None:
        await ctx.step.transaction("pay", pay)

    async with engine.working(pays):
        await engine.send("db/users.inserted", {})
        (run,) = await engine.ended()

    assert run["status"] == "failed"
    assert "CDC_STATE_DATABASE_URL" in run["error"]["message"]
    assert (await engine.steps())["pay"]["attempts"] == 1
