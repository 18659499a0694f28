"""How a worker process hears that it shall wake, or stop, or that the sources are others now."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import Callable

import orjson

from cdc.clock import set_within
from cdc.engine.worker import Worker


class Stopping:
    """Listens for what the parent wants: wake-ups, SIGTERM, or its own end. `on_sources` is given the CDC_SOURCES of
    now.
    """

    def __init__(self, on_sources: Callable[[str], None]) -> None:
        self.on_sources = on_sources
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

    def rewake(self) -> None:
        """More can be done than before; not before the parent said that anything may be."""
        if self.woken:
            self.wake()

    def orphan(self) -> None:
        """The parent is gone: nobody knows of this process any more."""
        self.orphaned = True
        self._stop(at_once=True)

    async def within(self, seconds: float) -> None:
        """Wait, but no longer than until the stop."""
        await set_within(self.asked, seconds)

    def _stop(self, *, at_once: bool = False) -> None:
        self.asked.set()
        if self._worker:
            self._worker.stop(at_once=at_once)


class _Orders(asyncio.Protocol):
    def __init__(self, stopping: Stopping) -> None:
        self._stopping = stopping
        self._begun = b""

    def data_received(self, data: bytes) -> None:
        *lines, self._begun = (self._begun + data).split(b"\n")
        for sources in filter(None, lines):
            self._stopping.on_sources(orjson.loads(sources))
        if b"" in lines:
            self._stopping.wake()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stopping.orphan()
