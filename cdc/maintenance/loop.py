"""The contract of all maintenance loops: start, tick at an interval, stop."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress

import structlog

from cdc.errors import DatabaseUnreachable
from cdc.store.failures import ConnectionTrouble

log = structlog.get_logger(__name__)


class Loop:
    """Calls `tick` every `interval` seconds, or after as many as `tick` answers with. A database that is away is waited
    for, which is told once, and its end; other failures end the loop.

    `stop` may be called without `start`, and twice. `failed` is done when the loop ended by a failure.
    """

    def __init__(self, name: str, interval: float, tick: Callable[[], Awaitable[float | None]]) -> None:
        self._name = name
        self._interval = interval
        self._tick = tick
        self._task: asyncio.Task[None] | None = None

    def start(self) -> asyncio.Task[None]:
        """Start ticking; the task ends only by a failure or by `stop`."""
        self._task = asyncio.create_task(self._tick_forever(), name=self._name)
        return self._task

    async def stop(self) -> None:
        """Stop, whatever a tick is doing."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task

    async def _tick_forever(self) -> None:
        waits = False
        while True:
            pause = None
            try:
                pause = await self._tick()
            except (*ConnectionTrouble, DatabaseUnreachable) as error:
                if not waits:
                    log.warning(f"{self._name} waits for the database", reason=str(error).strip())
                waits = True
            else:
                if waits:
                    log.info(f"{self._name} goes on")
                waits = False
            await asyncio.sleep(self._interval if pause is None else pause)
