"""The scheduler: starts the runs of cron triggers, once for each tick however many replicas there are.

Ticks that passed while nobody looked are made up for by one run. The database's clock decides.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import UTC

import orjson

from cdc.authoring.cron import Cron
from cdc.authoring.triggers import SCHEDULED
from cdc.events import ids
from cdc.events.outbox import Invocation, Outbox
from cdc.store import functions, schedules, waits
from cdc.store.connect import Connection
from cdc.store.events import Incoming
from cdc.store.schedules import DueSchedule, Schedule

_AT_ONCE = 100
"""Schedules whose runs are started in one transaction."""

_LONGEST = 20.0
"""Seconds after which it looks whether there are other functions; their first tick is not missed for that."""

_SHORTEST = 0.1


class Scheduler:
    """`on_runs` is called when runs were started."""

    def __init__(self, connect: Callable[[], Awaitable[Connection]], *, on_runs: Callable[[], None]) -> None:
        self._connect = connect
        self._on_runs = on_runs
        self._outbox = Outbox()
        self._followed: int | None = None

    async def tick(self) -> float:
        """Start what is due; returns the seconds until there is more to do."""
        async with await self._connect() as conn:
            await self._follow(conn)
            while await self._start(conn) == _AT_ONCE:
                pass
            due_in = await schedules.next_due(conn)
        return _LONGEST if due_in is None else max(_SHORTEST, min(_LONGEST, due_in))

    async def _follow(self, conn: Connection) -> None:
        """Follow the schedules of the functions in force, when these have changed."""
        version = await functions.version(conn)
        if version != self._followed:
            await schedules.follow(conn, lambda schedule: _cron(schedule).after(schedule.at))
            self._followed = version

    async def _start(self, conn: Connection) -> int:
        """Start the runs of schedules whose tick has come; of how many."""
        async with conn.transaction():
            await waits.lock_names(conn, accepted=[SCHEDULED])
            due = await schedules.due(conn, _AT_ONCE)
            invocations = [Invocation(each.schedule.function_id, _event(each.schedule)) for each in due]
            taken = await self._outbox.add(conn, [], invocations) if due else None
            await schedules.move(conn, [_moved(each) for each in due])
        if taken is not None and taken.due:
            self._on_runs()
        return len(due)


def _event(schedule: Schedule) -> Incoming:
    """The event of one tick."""
    cron, tick = str(_cron(schedule)), schedule.at.astimezone(UTC)
    data = orjson.dumps({"cron": cron, "scheduled_at": tick}, option=orjson.OPT_UTC_Z)
    event_id = ids.of_tick(schedule.function_id, cron, tick)
    return Incoming(event_id, SCHEDULED, int(tick.timestamp()) * 1_000_000, data, None)


def _moved(due: DueSchedule) -> Schedule:
    """With the first tick that is still to come: those between are made up for by the one that was due."""
    schedule, now = due
    return schedule._replace(at=_cron(schedule).after(max(now, schedule.at)))


def _cron(schedule: Schedule) -> Cron:
    return Cron(schedule.cron, schedule.timezone)
