"""Knows when a live run has nothing left to do but wait, and keeps what is to be recorded then."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Literal, NamedTuple, NoReturn

from cdc.engine.journal import Draft, Entry, Journal

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
        self._waiting: list[Until] = []
        self._written: list[tuple[float, Until]] = []
        self._waits: list[asyncio.Future[None]] = []
        self._flushes: list[asyncio.Task[bool]] = []
        self._unwritten: Draft | None = None
        self._turns = _MOST_TURNS
        self._settled = 0
        self.suspended = False
        self.asked = False
        """Whether a model was asked here."""
        self.retried = 0
        """Steps whose attempt failed here, and that are tried again."""
        self.came_further = False
        """Whether the handler's attempts count from the first again."""
        self.defers = False
        """Whether the run may have deferred others, which start when it ends."""
        self.awaits = False
        """Whether this execution registered a wait, or an inference."""

    @property
    def until(self) -> Until:
        """What the suspended run waits for: the first that comes, and how long that is from now."""
        now = asyncio.get_running_loop().time()
        left = [Until(until.status, max(0.0, due_at - now)) for due_at, until in self._written]
        return min((*self._waiting, *left), key=lambda until: until.due_in)

    @property
    def unwritten(self) -> Draft:
        """What goes into the same commit as the suspension."""
        if self._unwritten is None:
            self._unwritten = Draft()
        return self._unwritten

    def take_unwritten(self) -> Entry:
        """The same, for the caller to write."""
        if self._unwritten is None:
            return Entry()
        entry, self._unwritten = self._unwritten.entry(), None
        self.awaits = self.awaits or bool(entry.waits) or any(kept.inference for kept in entry.beside)
        return entry

    def __enter__(self) -> None:
        """A branch is busy for the length of the block."""
        self._busy += 1

    def __exit__(self, *exception: object) -> None:
        self._busy -= 1
        self._settle()

    async def wait(self, until: Until) -> NoReturn:
        """Wait in the database, not in memory: this await never ends, the run is suspended under it."""
        loop = asyncio.get_running_loop()
        self._waiting.append(until)
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
        if self._flushes:
            await asyncio.gather(*self._flushes)

    def close(self) -> None:
        """End what still waits: branches that the handler left behind, for the first of several that came."""
        for wait in self._waits:
            wait.cancel()

    def _settle(self) -> None:
        if (self._waiting or self._written) and not self.suspended:
            self._settled += 1
            asyncio.get_running_loop().call_soon(self._look, self._turns, self._settled)

    def _look(self, turns: int, settled: int) -> None:
        """After so many turns, suspend or write; not if another branch came to its wait or its step's end meanwhile."""
        if self.suspended or settled != self._settled:
            return
        if turns:
            asyncio.get_running_loop().call_soon(self._look, turns - 1, settled)
        elif not self._busy:
            self.suspended = True
            self._suspend()
        elif self._unwritten is not None:
            self._flush()

    def _flush(self) -> None:
        """Write what waits: its time begins now."""
        now = asyncio.get_running_loop().time()
        self._written.extend((now + until.due_in, until) for until in self._waiting)
        self._waiting.clear()
        self._flushes.append(asyncio.create_task(self._journal.write(self.take_unwritten())))
