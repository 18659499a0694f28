"""Schedules: one row for each cron trigger of a function in force, with its next tick."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import NamedTuple

from cdc.store.connect import Connection
from cdc.store.queries import text


class Schedule(NamedTuple):
    """A cron trigger and a moment: its next tick, or that since which it is there."""

    function_id: str
    cron: str
    timezone: str
    at: datetime


class DueSchedule(NamedTuple):
    """A schedule whose tick has come, and the database's clock."""

    schedule: Schedule
    now: datetime


async def follow(conn: Connection, next_tick: Callable[[Schedule], datetime]) -> None:
    """Have a row for each schedule of the functions in force, and no other; registrations wait meanwhile."""
    async with conn.transaction():
        await conn.execute(text("functions/lock_registry"))
        await conn.execute(text("schedules/drop"))
        found = await (await conn.execute(text("schedules/new"))).fetchall()
        new = [Schedule(*row) for row in found]
        await conn.execute(text("schedules/add"), _columns([each._replace(at=next_tick(each)) for each in new]))


async def next_due(conn: Connection) -> float | None:
    """Seconds until the next tick of any schedule; None when there is none."""
    row = await (await conn.execute(text("schedules/next_due"))).fetchone()
    assert row is not None, "an aggregate has one row"
    return None if row[0] is None else float(row[0])


async def due(conn: Connection, limit: int) -> list[DueSchedule]:
    """Up to `limit` schedules whose tick has come, locked; those that somebody else has are left to them."""
    found = await (await conn.execute(text("schedules/due"), {"limit": limit})).fetchall()
    return [DueSchedule(Schedule(*row[:4]), row[4]) for row in found]


async def move(conn: Connection, schedules: Sequence[Schedule]) -> None:
    """Note the next ticks of schedules that are locked."""
    await conn.execute(text("schedules/move"), _columns(schedules))


def _columns(schedules: Sequence[Schedule]) -> dict[str, list[object]]:
    names = ("functions", "crons", "timezones", "next_ats")
    return {name: [each[place] for each in schedules] for place, name in enumerate(names)}
