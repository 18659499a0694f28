"""Knows when a live run has nothing left to do but wait, and keeps what is to be recorded then."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Literal, NamedTuple, NoReturn

from cdc.engine.journal import Entry, Journal

Status = Literal["queued", "sleeping", "waiting"]

_TURNS = 2
_MOST_TURNS = 16
"""Of the event loop: a branch whose step just ended first gets its turn to go on. Each gather or task group between
that branch and the handler takes two; a handler that waits itself has none between.
"""


class Until(NamedTuple):
    """What a branch of the run waits for: the status it has meanwhile, and in how many seconds it is due."""

    status: Status
    due_in: float


class Suspension:
    """Suspends a run when nothing of it is busy and at least one branch waits; calls `suspend` then, once.

    While other branches are busy, what waiting ones have to record is written without delay: an hour of work beside a
    sleep must not make the sleep an hour longer, nor an event that is waited for pass unseen.
    """

    def __init__(self, journal: Journal, suspend: Callable[[], object]) -> None:
        self._journal = journal
        self._suspend = suspend
        self._busy = 0
        self._handler = asyncio.current_task()
        self._waiting: list[tuple[float, Until]] = []
        self._waits: list[asyncio.Future[None]] = []
        self._flushes: list[asyncio.Task[None]] = []
        self._unwritten: Entry | None = None
        self._turns = _MOST_TURNS
        self.suspended = False
        self.awaits = False
        """Whether this execution registered a wait."""

    @property
    def until(self) -> Until:
        """What the suspended run waits for: the first that comes, and how long that is from now."""
        due_at, until = min(self._waiting)
        return Until(until.status, max(0.0, due_at - asyncio.get_running_loop().time()))

    @property
    def unwritten(self) -> Entry:
        """What goes into the same commit as the suspension."""
        if self._unwritten is None:
            self._unwritten = Entry()
        return self._unwritten

    def take_unwritten(self) -> Entry:
        """The same, for the caller to write."""
        entry, self._unwritten = self.unwritten, None
        self.awaits = self.awaits or bool(entry.waits)
        return entry

    @contextmanager
    def working(self) -> Iterator[None]:
        """A branch is busy for the length of the block."""
        self._busy += 1
        try:
            yield
        finally:
            self._busy -= 1
            self._settle()

    async def wait(self, until: Until) -> NoReturn:
        """Wait in the database, not in memory: this await never ends, the run is suspended under it."""
        loop = asyncio.get_running_loop()
        self._waiting.append((loop.time() + until.due_in, until))
        if asyncio.current_task() is self._handler:
            self._turns = _TURNS
        self._settle()
        self._waits.append(loop.create_future())
        await self._waits[-1]
        raise AssertionError("a waiting step is never resumed in memory")

    async def flushed(self) -> None:
        """Return when all that was written beside busy branches is durable.

        Raises:
            RecordRefused, LeaseLost: it could not be written.
        """
        await asyncio.gather(*self._flushes)

    def close(self) -> None:
        """End what still waits: branches that the handler left behind, for the first of several that came."""
        for wait in self._waits:
            wait.cancel()

    def _settle(self) -> None:
        if self._waiting and not self.suspended:
            asyncio.get_running_loop().call_soon(self._look, self._turns)

    def _look(self, turns: int) -> None:
        if self.suspended:
            return
        if turns:
            asyncio.get_running_loop().call_soon(self._look, turns - 1)
        elif not self._busy:
            self.suspended = True
            self._suspend()
        elif self._unwritten is not None:
            self._flushes.append(asyncio.create_task(self._journal.write(self.take_unwritten())))
