"""Brings together what the processes of a service counted: workers tell their parent about once a second, which adds it
to cdc_state.tallies every few seconds, and keeps the totals since its start.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from typing import Any

import structlog

from cdc.errors import CdcError
from cdc.maintenance.loop import Loop
from cdc.store import tallied
from cdc.store.connect import Connection
from cdc.store.failures import ConnectionTrouble
from cdc.store.tallied import MINUTE
from cdc.tallies import Count, Tallies, counted

log = structlog.get_logger(__name__)

EVERY = 5.0
"""Seconds between two writes."""

_TELL_EVERY = 1.0

_PAGE = 8
"""Counts in one report. A short line is written whole or not at all, and never has to wait for who reads."""

_MOST_MINUTES = 60
"""Minutes that are kept apart for a database that is away."""

_LAST = 2.0
"""Seconds for the last write, when the service ends."""


class Tallying:
    """What this service counted. `totals` since its start, `written` to the state minute by minute.

    A write whose answer was lost is made again: counted twice rather than not at all.
    """

    def __init__(self, connect: Callable[[], Awaitable[Connection]], *, now: Callable[[], float] = time.time) -> None:
        self._connect = connect
        self._now = now
        self._totals = Tallies()
        self._minute = 0
        self._names = Tallies()
        self._minutes: dict[int, Tallies] = {}

    @property
    def totals(self) -> Tallies:
        """All that was counted since the start, the last second included."""
        self._gather()
        return self._totals

    def loop(self) -> Loop:
        """Writes every few seconds, and when a minute ends."""
        return Loop("tallies", EVERY, self.tick)

    async def tick(self) -> float:
        """Write what was counted; returns the seconds until it is time again."""
        await self.write()
        return EVERY - self._now() % EVERY

    async def write(self) -> None:
        """Add what was counted to the state; what cannot be written is kept for the next time."""
        self._gather()
        if not self._minutes:
            return
        added = [(at, count) for at, tallies in self._minutes.items() for count in tallies.counts()]
        async with await self._connect() as conn:
            self._minutes = {}
            try:
                await tallied.add(conn, added)
            except BaseException:
                for at, count in added:
                    self._of_minute(at).take([count])
                raise

    async def close(self) -> None:
        """Write what is left, unless the database is away."""
        try:
            async with asyncio.timeout(_LAST):
                await self.write()
        except (*ConnectionTrouble, CdcError, TimeoutError) as error:
            log.warning("the last of what was counted is not written down", reason=str(error).strip())

    def _gather(self) -> None:
        """Take over what was counted by now."""
        counts = counted.drain()
        minute = int(self._now()) // MINUTE * MINUTE
        if minute != self._minute:
            self._minute, self._names = minute, Tallies()
        if not counts:
            return
        self._totals.take(counts)
        for each in counts:
            named = [replace(each, name=self._names.named(each.what, each.name))]
            self._names.take(named)
            self._of_minute(minute).take(named)

    def _of_minute(self, at: int) -> Tallies:
        if at not in self._minutes and len(self._minutes) >= _MOST_MINUTES:
            at = max(self._minutes)
        return self._minutes.setdefault(at, Tallies())


async def write_now(conn: Connection) -> None:
    """Write what this process counted: at the end of a command."""
    minute = int(time.time()) // MINUTE * MINUTE
    await tallied.add(conn, [(minute, count) for count in counted.drain()])


async def tell_forever(send: Callable[..., None]) -> None:
    """Tell the parent every second."""
    while True:
        await asyncio.sleep(_TELL_EVERY)
        tell(send)


def tell(send: Callable[..., None]) -> None:
    """Tell the parent what this process counted."""
    counts = [(each.what, each.name, each.count, each.seconds, each.buckets) for each in counted.drain()]
    for first in range(0, len(counts), _PAGE):
        send(counts=counts[first : first + _PAGE])


def hear(report: Mapping[str, Any]) -> None:
    """Count what a worker told."""
    counted.take(Count(*count) for count in report.get("counts", ()))
