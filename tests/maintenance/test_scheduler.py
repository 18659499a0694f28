"""Schedules: once for each tick, by the database's clock, over any number of replicas and through downtime."""

from __future__ import annotations

import asyncio
from datetime import datetime
from typing import Any

from cdc import Context, Singleton, function
from cdc.authoring.cron import Cron
from cdc.authoring.function import Function
from cdc.maintenance.scheduler import Scheduler
from cdc.store import functions, workers
from cdc.store.connect import connect
from tests.engine.harness import Engine

BERLIN = Cron("0 9 * * 1", "Europe/Berlin")


@function("hourly", on=Cron("0 * * * *"))
async def hourly(ctx: Context) -> dict[str, Any]:
    return dict(ctx.event.data)


def hourly_at(cron: Cron, **options: Any) -> Function:
    """The same with another schedule."""
    return function("hourly", on=cron, **options)(hourly.handler)


def reports_at(cron: Cron) -> Function:
    """With two schedules, and an event besides."""

    @function("reports", on=[BERLIN, cron, "db/users.inserted"])
    async def reports(ctx: Context) -> str:
        return str(ctx.event.data["cron"])

    return reports


def scheduler(engine: Engine) -> Scheduler:
    return Scheduler(lambda: connect(engine.url, autocommit=True), on_runs=engine.wake)


async def register(engine: Engine, *given: Function) -> None:
    """As the worker of a new version with these functions does; the old one is gone."""
    await engine.conn.execute("delete from cdc_state.workers")
    ids = [each.id for each in given]
    await workers.register(engine.conn, host="here", pid=1, functions=ids, lease=3600.0)
    await functions.register(engine.conn, [each.definition() for each in given])


async def ticks_come(engine: Engine, ago: str) -> None:
    """Set the clock forward: all next ticks are so long ago."""
    await engine.conn.execute("update cdc_state.schedules set next_at = now() - %s::interval", [ago])


async def next_ticks(engine: Engine) -> list[tuple[str, str, datetime]]:
    cursor = await engine.conn.execute("select function_id, cron, next_at from cdc_state.schedules order by 1, 2")
    return await cursor.fetchall()


async def now(engine: Engine) -> datetime:
    row = await (await engine.conn.execute("select clock_timestamp()")).fetchone()
    assert row is not None
    moment: datetime = row[0]
    return moment


async def far(engine: Engine, *, minutes: int = 31) -> Cron:
    """Hourly, and for half an hour from now there is no tick: one would start a run while a test looks on."""
    return Cron(f"{((await now(engine)).minute + minutes) % 60} * * * *")


async def test_a_new_schedule_begins_at_its_next_tick(engine: Engine) -> None:
    cron, other = await far(engine), await far(engine, minutes=35)
    before = await now(engine)
    await register(engine, hourly_at(cron), reports_at(other))
    await scheduler(engine).tick()

    assert await engine.runs() == []
    assert sorted(await next_ticks(engine)) == sorted(
        [
            ("hourly", str(cron), cron.after(before)),
            ("reports", str(other), other.after(before)),
            ("reports", "0 9 * * 1", BERLIN.after(before)),
        ]
    )


async def test_the_run_of_a_tick_is_told_its_schedule_and_its_time(engine: Engine) -> None:
    reports = reports_at(await far(engine))
    await register(engine, reports)
    upkeep = scheduler(engine)
    await upkeep.tick()
    await engine.conn.execute(
        "update cdc_state.schedules set next_at = '2026-03-02 08:00+00' where timezone = 'Europe/Berlin'"
    )
    await upkeep.tick()

    cursor = await engine.conn.execute("select name, ts, data from cdc_state.events")
    ((name, ts, data),) = await cursor.fetchall()
    assert name == "inngest/scheduled.timer"
    assert data == {"cron": "TZ=Europe/Berlin 0 9 * * 1", "scheduled_at": "2026-03-02T08:00:00Z"}
    assert ts == datetime.fromisoformat("2026-03-02T08:00:00Z")
    async with engine.working(reports):
        (run,) = await engine.ended()
    assert run["output"] == "TZ=Europe/Berlin 0 9 * * 1"


async def test_ticks_missed_while_nobody_looked_are_made_up_for_by_one_run(engine: Engine) -> None:
    cron = await far(engine)
    await register(engine, hourly_at(cron))
    upkeep = scheduler(engine)
    await upkeep.tick()
    await ticks_come(engine, ago="3 days")
    before = await now(engine)
    await upkeep.tick()
    await upkeep.tick()

    assert len(await engine.runs()) == 1
    assert [tick for _, _, tick in await next_ticks(engine)] == [cron.after(before)]


async def test_each_tick_starts_one_run_whoever_looks(engine: Engine) -> None:
    cron = await far(engine)
    many = [function(f"each-{number}", on=cron)(hourly.handler) for number in range(25)]
    await register(engine, *many)
    replicas = [scheduler(engine) for _ in range(4)]
    await asyncio.gather(*(replica.tick() for replica in replicas))
    for round_ in range(1, 4):
        await ticks_come(engine, ago=f"{10 - round_} min")
        await asyncio.gather(*(replica.tick() for replica in replicas))
        await replicas[0].tick()
        assert len(await engine.runs()) == 25 * round_


async def test_flow_control_applies_to_ticks(engine: Engine) -> None:
    alone = function("alone", on=Cron("* * * * *"), singleton=Singleton())(hourly.handler)
    await register(engine, alone)
    upkeep = scheduler(engine)
    await upkeep.tick()
    for minutes in (3, 2, 1):
        await ticks_come(engine, ago=f"{minutes} min")
        await upkeep.tick()
    assert len(await engine.runs()) == 1


async def test_a_changed_schedule_starts_anew_and_one_of_no_function_is_forgotten(engine: Engine) -> None:
    await register(engine, hourly_at(await far(engine, minutes=35)), reports_at(await far(engine)))
    upkeep = scheduler(engine)
    await upkeep.tick()
    await ticks_come(engine, ago="1 hour")
    cron = await far(engine)
    before = await now(engine)
    await register(engine, hourly_at(cron))
    await upkeep.tick()

    assert await next_ticks(engine) == [("hourly", str(cron), cron.after(before))]
    assert await engine.runs() == []


async def test_a_schedule_that_stays_keeps_its_next_tick_when_its_function_changes(engine: Engine) -> None:
    cron = await far(engine)
    await register(engine, hourly_at(cron))
    upkeep = scheduler(engine)
    await upkeep.tick()
    await ticks_come(engine, ago="1 hour")
    await register(engine, hourly_at(cron, retries=7))
    await upkeep.tick()
    assert len(await engine.runs()) == 1


async def test_it_sleeps_until_the_next_tick_but_never_for_long(engine: Engine) -> None:
    await register(engine, hourly)
    upkeep = scheduler(engine)
    await upkeep.tick()
    await engine.conn.execute("update cdc_state.schedules set next_at = now() + interval '5 h'")
    assert 18 < await upkeep.tick() <= 60
    await engine.conn.execute("update cdc_state.schedules set next_at = now() + interval '18 s'")
    assert 0 < await upkeep.tick() <= 18
