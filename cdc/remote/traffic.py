"""Calls of apps that are under way: how many each app has, and which have room for more.

Whoever takes on runs leaves out functions of apps without room, so that they wait in the database and not here; each
app has its own limit, so that a slow one holds up none but itself.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import structlog

from cdc.remote.breaker import Breaker

log = structlog.get_logger(__name__)


class OutOfReach(Exception):
    """An app is not called now: the calls before did not reach it. `seconds` until one is tried."""

    def __init__(self, seconds: float) -> None:
        super().__init__(f"{seconds:g} s")
        self.seconds = seconds


class Traffic:
    """Up to `limit` calls at once for each app. `now` tells seconds that only grow."""

    def __init__(self, limit: int, now: Callable[[], float] = time.monotonic) -> None:
        self.limit = limit
        self._now = now
        self._flight: Counter[str] = Counter()
        self._slots: dict[str, asyncio.Semaphore] = {}
        self._breakers: dict[str, Breaker] = {}

    def in_flight(self, app: str) -> int:
        """Calls of an app that are under way, or wait for others to end."""
        return self._flight[app]

    def room(self, app: str) -> int:
        """How many more calls of an app would be made at once."""
        breaker = self._breakers.get(app)
        if breaker is not None and not breaker.is_closed:
            return int(breaker.has_room)
        return max(0, self.limit - self._flight[app])

    def full(self) -> frozenset[str]:
        """The apps without room."""
        return frozenset(app for app in {*self._slots, *self._breakers} if not self.room(app))

    def opens_in(self, app: str) -> float:
        """Seconds until an app is called again; 0 when it is now."""
        breaker = self._breakers.get(app)
        return 0.0 if breaker is None else breaker.opens_in

    def reopens_in(self) -> float | None:
        """Seconds until an app that is out of reach may be tried again; None when there is none."""
        return min((each.opens_in for each in self._breakers.values() if not each.is_closed), default=None)

    def moved(self, app: str) -> None:
        """An app is somewhere else now: how it went where it was tells nothing."""
        self._breakers.pop(app, None)

    @asynccontextmanager
    async def call(self, app: str) -> AsyncIterator[Breaker]:
        """The time of a call. The caller tells the breaker how it went.

        Raises:
            OutOfReach: it is not to be made now.
        """
        breaker = self._breakers.setdefault(app, Breaker(self._now))
        slots = self._slots.setdefault(app, asyncio.Semaphore(self.limit))
        self._flight[app] += 1
        try:
            async with slots:
                was_closed = breaker.is_closed
                if not breaker.admits():
                    raise OutOfReach(breaker.opens_in)
                try:
                    yield breaker
                except BaseException:
                    if not was_closed:
                        breaker.given_up()
                    raise
                finally:
                    if breaker.is_closed != was_closed:
                        _tell(app, breaker)
        finally:
            self._flight[app] -= 1


def _tell(app: str, breaker: Breaker) -> None:
    if breaker.is_closed:
        log.info("app is reached again", app=app)
    else:
        log.warning("app is out of reach", app=app, seconds=round(breaker.opens_in, 1))
