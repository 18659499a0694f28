"""Keeps apps synced: asks each at its start, when somebody wants it, and now and then."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

import structlog

from cdc.clock import set_within
from cdc.errors import CdcError
from cdc.remote.registering import To
from cdc.remote.syncing import Syncing
from cdc.store import apps
from cdc.store.apps import Wanted
from cdc.store.failures import ConnectionTrouble

log = structlog.get_logger(__name__)

IN_DEVELOPMENT = 5.0
DEPLOYED = 60.0
"""Seconds between two syncs of an app that answers."""

_LONGEST = 60.0
_LEAST = 0.5
"""Seconds between two looks at the table, however often something was said to be new."""

_AT_ONCE = 8


@dataclass(slots=True)
class _Pause:
    """When an app is asked next, and how long the pause is after a failure."""

    until: float = 0.0
    failed: float = 0.0


class Polling:
    """Asks apps. In `development` all that have a URL; else those of `urls`, and any when somebody wants it."""

    def __init__(self, to_state: To, syncing: Syncing, urls: Sequence[str], *, development: bool) -> None:
        self._to_state = to_state
        self._syncing = syncing
        self._added = set(urls)
        self._mine: set[int] = set()
        self._development = development
        self._every = IN_DEVELOPMENT if development else DEPLOYED
        self._pauses: dict[int, _Pause] = {}
        self._news = asyncio.Event()
        self._under_way: set[int] = set()
        self._turns = asyncio.Semaphore(_AT_ONCE)

    def look(self) -> None:
        """Somebody may want an app to be asked now."""
        self._news.set()

    async def forever(self) -> None:
        """Until cancelled; a database that is away is waited for. One app does not wait for another."""
        async with asyncio.TaskGroup() as asking:
            while True:
                self._news.clear()
                wait = self._every
                with suppress(*ConnectionTrouble, CdcError):
                    wait = await self._turn(asking)
                await asyncio.sleep(_LEAST)
                await set_within(self._news, wait)

    async def _turn(self, asking: asyncio.TaskGroup) -> float:
        """Ask those whose time has come; seconds until the next."""
        async with self._to_state() as conn:
            while self._added:
                self._mine.add(await apps.add(conn, next(iter(self._added))))
                self._added.pop()
            wanted = await apps.wanted(conn)
        now = time.monotonic()
        for app in wanted:
            if app.id not in self._under_way and self._is_due(app, now):
                self._under_way.add(app.id)
                asking.create_task(self._ask(app))
        ids = {app.id for app in wanted}
        self._pauses = {id_: pause for id_, pause in self._pauses.items() if id_ in ids}
        nexts = [pause.until for id_, pause in self._pauses.items() if id_ not in self._under_way]
        return max(0.0, min([*nexts, now + (self._every if wanted else _LONGEST)]) - now)

    def _is_due(self, app: Wanted, now: float) -> bool:
        if app.is_asked:
            return True
        pause = self._pauses.get(app.id)
        if pause is None:
            return self._development or app.id in self._mine or app.name is None
        return pause.until <= now

    async def _ask(self, app: Wanted) -> None:
        """One that turns out to be an app that has another row is asked by that from then on."""
        error: str | None = "The state database is away."
        try:
            with suppress(*ConnectionTrouble, CdcError):
                async with self._turns:
                    error = await self._syncing.sync(app.id, app.url)
        finally:
            self._under_way.discard(app.id)
        pause = self._pauses.setdefault(app.id, _Pause())
        if error is None:
            if (became := self._syncing.became(app.id)) and app.id in self._mine:
                self._mine.add(became)
            pause.failed = 0.0
            polled = self._development or app.id in self._mine
            pause.until = time.monotonic() + self._every if polled else float("inf")
            return
        if not pause.failed:
            log.warning("an app could not be synced", app=app.name or app.url, reason=error)
        pause.failed = min(max(1.0, pause.failed * 2), _LONGEST)
        pause.until = time.monotonic() + pause.failed
        self.look()
