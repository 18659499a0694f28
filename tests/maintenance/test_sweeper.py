"""A lost wake-up holds nobody up for ever, and a wrong count is put right."""

from __future__ import annotations

import asyncio

import pytest

from cdc import Concurrency, Context, function
from cdc.engine import claims
from cdc.maintenance.sweeper import Sweeper
from cdc.store.connect import connect
from tests.engine.harness import Engine
from tests.waiting import eventually


@function("limited", on="db/users.inserted", concurrency=Concurrency(1, key="event.data.new.tenant"))
async def limited(ctx: Context) -> int:
    return int(ctx.event.data["new"]["n"])


@function("ordered", on="db/users.inserted", order_by="event.data.new.tenant")
async def ordered(ctx: Context) -> int:
    return int(ctx.event.data["new"]["n"])


def sweeper(engine: Engine) -> Sweeper:
    return Sweeper(lambda: connect(engine.url, autocommit=True), on_runs=engine.wake)


async def taken(engine: Engine) -> dict[str, int]:
    return dict(await (await engine.conn.execute("select name, taken from cdc_state.gates where taken > 0")).fetchall())


async def test_runs_that_nobody_called_are_called(engine: Engine) -> None:
    async with engine.working(limited):
        pass  # the function is known, and its worker has left
    await engine.send("db/users.inserted", *({"tenant": n % 3, "n": n} for n in range(9)))
    await engine.conn.execute("update cdc_state.runs set held_at = gates[1]")
    async with engine.working(limited):
        upkeep = sweeper(engine)

        async def swept() -> bool:
            await upkeep.tick()
            return all(run["status"] == "completed" for run in await engine.runs())

        await eventually(swept, what="all runs are completed")
    assert await taken(engine) == {}


async def test_a_count_that_is_too_high_is_put_right(engine: Engine) -> None:
    async with engine.working(limited, ordered):
        await engine.send("db/users.inserted", {"tenant": 1, "n": 0})
        await engine.ended(2)
        await engine.conn.execute("update cdc_state.gates set taken = 1")
        await engine.send("db/users.inserted", {"tenant": 1, "n": 1}, {"tenant": 1, "n": 2})

        async def all_stand() -> bool:
            cursor = await engine.conn.execute("select count(*) from cdc_state.runs where held_at is not null")
            return await cursor.fetchone() == (4,)

        await eventually(all_stand)
        await sweeper(engine).tick()
        runs = await engine.ended(6)
    assert {run["status"] for run in runs} == {"completed"}
    assert await taken(engine) == {}


@pytest.fixture
def nobody_else_calls(monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker looks for itself, now and then, whether runs stand where there is room: as a wrong count has it."""
    for pause in ("POLL", "_RECALL"):
        monkeypatch.setattr(claims, pause, 3600.0)


@pytest.mark.usefixtures("nobody_else_calls")
async def test_places_that_are_taken_are_left_and_the_limit_holds(engine: Engine) -> None:
    began, let_go = asyncio.Event(), asyncio.Event()
    at_once = 0

    @function("limited", on="db/users.inserted", concurrency=1)
    async def slow(ctx: Context) -> int:
        nonlocal at_once
        at_once += 1
        assert at_once == 1
        began.set()
        await let_go.wait()
        at_once -= 1
        return int(ctx.event.data["new"]["n"])

    async with engine.working(slow):
        await engine.send("db/users.inserted", *({"n": n} for n in range(5)))
        await began.wait()
        gate = "concurrency/0/limited/"
        for wrong in (1, 0, 7):
            await engine.conn.execute("update cdc_state.gates set taken = %s", [wrong])
            await asyncio.gather(*(sweeper(engine).tick() for _ in range(3)))
            assert await taken(engine) == {gate: 1}
        let_go.set()
        runs = await engine.ended(5)
    assert [run["status"] for run in runs] == ["completed"] * 5
    assert await taken(engine) == {}


@pytest.mark.usefixtures("nobody_else_calls")
async def test_whose_turn_it_is_keeps_it(engine: Engine) -> None:
    began, let_go = asyncio.Event(), asyncio.Event()
    order: list[int] = []

    @function("ordered", on="db/users.inserted", order_by="event.data.new.tenant")
    async def slow(ctx: Context) -> None:
        order.append(ctx.event.data["new"]["n"])
        began.set()
        await let_go.wait()

    async with engine.working(slow):
        await engine.send("db/users.inserted", *({"tenant": 1, "n": n} for n in range(4)))
        await began.wait()
        await engine.conn.execute("update cdc_state.gates set taken = 0")
        await sweeper(engine).tick()
        assert order == [0]
        assert list((await taken(engine)).values()) == [1]
        let_go.set()
        await engine.ended(4)
    assert order == [0, 1, 2, 3]


async def test_runs_of_a_paused_function_stay_where_they_are(engine: Engine) -> None:
    await engine.conn.execute(
        "insert into cdc_state.runs (id, function_id, event_ids, held_at)"
        " values (gen_random_uuid(), 'paused', '{}', 'paused')"
    )
    await sweeper(engine).tick()
    cursor = await engine.conn.execute("select held_at from cdc_state.runs")
    assert await cursor.fetchall() == [("paused",)]
    assert await (await engine.conn.execute("select from cdc_state.gates")).fetchall() == []
