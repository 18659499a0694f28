"""The pruner: deletes what is past, and keeps what something unfinished still needs.

It looks at all old runs in the order of their ids, a page at a time, and deletes those that ended long enough ago. The
events of the others stay; older events that are left over are deleted then. An event's runs are created in the same
transaction, so no younger run needs an old event, but for one: a run that repeats another, which keeps that other.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

import structlog

from cdc.store import ai_calls, gauges, history, row_hashes, tallied
from cdc.store.connect import Connection
from cdc.store.history import FIRST_EVENT, FIRST_RUN

log = structlog.get_logger(__name__)

_PAGE = 500
"""Rows that one transaction looks at."""

_MINUTES = 2 * 86400.0
_FIGURES = 31 * 86400.0
"""Seconds that what was counted by the minute, and all other figures, are kept at most: plots reach no further back."""

_SKEW = 3600.0
"""Seconds; the clocks that ids of runs are made from may differ from the database's by as much."""


class Pruner:
    """Deletes what was over `retention` seconds ago. It rests as long as it works: others are at work, too."""

    def __init__(self, connect: Callable[[], Awaitable[Connection]], *, retention: float, page: int = _PAGE) -> None:
        self._connect = connect
        self._retention = retention
        self._page = page

    async def tick(self) -> None:
        """Go through everything once."""
        async with await self._connect() as conn:
            runs, needed = await self._prune_runs(conn)
            events = await self._prune_events(conn, needed)
            await self._prune_rejected(conn)
            await self._prune_gates(conn)
            await self._prune_row_hashes(conn)
            await self._prune_calls(conn)
            await self._prune_figures(conn)
        if runs or events:
            log.info("pruned", runs=runs, events=events)

    async def _prune_runs(self, conn: Connection) -> tuple[int, set[str]]:
        """How many runs were deleted, and the events that those which stay need."""
        looked = max(0.0, self._retention - _SKEW)
        deleted, needed, after = 0, set[str](), FIRST_RUN
        while True:
            began = time.monotonic()
            seen = await history.prune_runs(conn, after, self._page, kept=self._retention, looked=looked)
            deleted += sum(run.event_ids is None for run in seen)
            needed.update(id_ for run in seen for id_ in run.event_ids or ())
            if len(seen) < self._page:
                return deleted, needed
            after = seen[-1].id
            await _rest(began)

    async def _prune_events(self, conn: Connection, needed: set[str]) -> int:
        """Delete the old events that nothing needs; how many."""
        deleted, after = 0, FIRST_EVENT
        while True:
            began = time.monotonic()
            old = await history.old_events(conn, after, self._page, kept=self._retention)
            deleted += await history.drop_events(conn, [event.id for event in old if event.id not in needed])
            if len(old) < self._page:
                return deleted
            after = old[-1]
            await _rest(began)

    async def _prune_rejected(self, conn: Connection) -> None:
        began = time.monotonic()
        while await history.drop_rejected(conn, self._page, kept=self._retention) == self._page:
            await _rest(began)
            began = time.monotonic()

    async def _prune_gates(self, conn: Connection) -> None:
        after = ""
        while True:
            began = time.monotonic()
            seen = await history.prune_gates(conn, after, self._page)
            if len(seen) < self._page:
                return
            after = seen[-1]
            await _rest(began)

    async def _prune_row_hashes(self, conn: Connection) -> None:
        began = time.monotonic()
        while await row_hashes.prune(conn, self._page) == self._page:
            await _rest(began)
            began = time.monotonic()

    async def _prune_calls(self, conn: Connection) -> None:
        began = time.monotonic()
        while await ai_calls.prune(conn, self._page, kept=self._retention) == self._page:
            await _rest(began)
            began = time.monotonic()

    async def _prune_figures(self, conn: Connection) -> None:
        minutes, months = min(self._retention, _MINUTES), min(self._retention, _FIGURES)
        began = time.monotonic()
        while await tallied.prune(conn, self._page, minutes=minutes, hours=months) == self._page:
            await _rest(began)
            began = time.monotonic()
        while await gauges.prune(conn, self._page, minutes=minutes, hours=months) == self._page:
            await _rest(began)
            began = time.monotonic()


async def _rest(began: float) -> None:
    """As long as the work took that began then."""
    await asyncio.sleep(time.monotonic() - began)
