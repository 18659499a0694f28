"""How a worker process hears that it shall wake, or stop."""

from __future__ import annotations

import asyncio
import signal
import sys
from contextlib import suppress

from cdc.engine.worker import Worker


class Stopping:
    """Listens for what the parent wants: wake-ups, SIGTERM, or its own end."""

    def __init__(self) -> None:
        self._worker: Worker | None = None
        self._reading = False
        self.asked = asyncio.Event()
        self.woken = False
        self.orphaned = False
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGTERM, self._stop)

    async def follow(self, worker: Worker) -> None:
        """Tell this worker from now on."""
        self._worker = worker
        if not self._reading:
            self._reading = True
            await asyncio.get_running_loop().connect_read_pipe(lambda: _Orders(self), sys.stdin)

    def wake(self) -> None:
        """The parent says that runs are due, and with that, that this database is the one its checkpoint is of."""
        self.woken = True
        if self._worker:
            self._worker.wake()

    def orphan(self) -> None:
        """The parent is gone: nobody knows of this process any more."""
        self.orphaned = True
        self._stop(at_once=True)

    async def within(self, seconds: float) -> None:
        """Wait, but no longer than until the stop."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self.asked.wait(), seconds)

    def _stop(self, *, at_once: bool = False) -> None:
        self.asked.set()
        if self._worker:
            self._worker.stop(at_once=at_once)


class _Orders(asyncio.Protocol):
    def __init__(self, stopping: Stopping) -> None:
        self._stopping = stopping

    def data_received(self, data: bytes) -> None:
        self._stopping.wake()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stopping.orphan()
