"""Wake-ups across services: what becomes due in one is worked off by all, at once.

One connection listens, another notifies: coalesced, and outside the transaction that made the runs, since commits that
notify take turns (docs/delivery.md). The slow poll of the workers is the safety net.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Awaitable, Callable
from contextlib import suppress

import structlog

from cdc.errors import CdcError
from cdc.store import notifications
from cdc.store.connect import Connection
from cdc.store.failures import ConnectionTrouble

log = structlog.get_logger(__name__)

APART = 0.01
"""Seconds between two notifications at least."""

POLL = 1.0
"""Seconds between looks for due runs where notifications do not arrive."""

_DUE = "due"
_TESTING = "testing"
"""What a notification says; with the name of the service that sent it, which need not hear it."""

_TESTS = 2
_TEST = 1.0
_QUIET = 60.0
"""Seconds without a word after which the connection is tried: its peer may be gone without one."""

_LAST_WORD = 1.0
_LONGEST_PAUSE = 10.0


class Wakeups:
    """Calls `wake` whenever another service, or a person with psql, notifies the channel `cdc`."""

    def __init__(self, connect: Callable[[], Awaitable[Connection]], wake: Callable[[], None]) -> None:
        self._connect = connect
        self._wake = wake
        self._name = secrets.token_hex(8)
        self._due = asyncio.Event()
        self._notifier: Connection | None = None

    async def test(self) -> bool:
        """Whether notifications arrive: not through a transaction pooler.

        Raises:
            DatabaseUnreachable, DatabaseRefused: no connection could be made.
        """
        async with await self._connect() as conn:
            await notifications.listen(conn)
            for _ in range(_TESTS):
                await self._notify(_TESTING)
                if await self._heard_within(conn, _TEST):
                    return True
            await notifications.unlisten(conn)
            return False

    def due(self) -> None:
        """Runs are due; tell the other services."""
        self._due.set()

    async def tell_forever(self) -> None:
        """Notify when runs are due, however many, once in a while."""
        while True:
            await self._due.wait()
            self._due.clear()
            with suppress(*ConnectionTrouble, CdcError):  # the slow poll of the others will find them
                await self._notify(_DUE)
            await asyncio.sleep(APART)

    async def hear_forever(self) -> None:
        """Wake on every notification that is not our own; after a gap, too."""
        pause = 0.1
        while True:
            try:
                async with await self._connect() as conn:
                    await notifications.listen(conn)
                    pause = 0.1
                    self._wake()
                    await self._hear(conn)
            except (*ConnectionTrouble, CdcError, TimeoutError) as error:
                log.debug("notifications are not heard", reason=str(error).strip(), seconds=pause)
            await asyncio.sleep(pause)
            pause = min(pause * 2, _LONGEST_PAUSE)

    async def poll_forever(self) -> None:
        """Wake every second, where notifications do not arrive."""
        while True:
            await asyncio.sleep(POLL)
            self._wake()

    async def close(self) -> None:
        """Tell the others once more: what our workers gave back is due."""
        with suppress(*ConnectionTrouble, CdcError, TimeoutError):
            async with asyncio.timeout(_LAST_WORD):
                await self._notify(_DUE)
        if self._notifier is not None:
            await self._notifier.close()

    async def _hear(self, conn: Connection) -> None:
        while True:
            heard = await notifications.received(conn, within=_QUIET)
            if not heard:
                async with asyncio.timeout(_LONGEST_PAUSE):
                    await notifications.listen(conn)
            elif any(self._is_news(message) for message in heard):
                self._wake()

    async def _heard_within(self, conn: Connection, seconds: float) -> bool:
        """Whether our own notification arrives."""
        now = asyncio.get_running_loop().time
        until = now() + seconds
        while (left := until - now()) > 0:
            if f"{_TESTING} {self._name}" in await notifications.received(conn, within=left):
                return True
        return False

    def _is_news(self, message: str) -> bool:
        """Whatever a person may have sent is."""
        return not message.startswith(f"{_TESTING} ") and message != f"{_DUE} {self._name}"

    async def _notify(self, what: str) -> None:
        if self._notifier is None or self._notifier.closed:
            self._notifier = await self._connect()
        await notifications.notify(self._notifier, f"{what} {self._name}")
