"""Deadlines: runs that have not started or not ended in time are cancelled, whatever their handlers do."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping

import structlog

from cdc.events.deferring import DEFERRED
from cdc.events.ending import CANCELLED, FINISHED
from cdc.events.match import Start
from cdc.events.outbox import Outbox
from cdc.store import runs, waits
from cdc.store.connect import Connection

log = structlog.get_logger(__name__)

_AT_ONCE = 100
"""Runs cancelled in one transaction."""

_OFTEN, _SELDOM = 1.0, 20.0
"""Seconds between two looks, where functions have timeouts and where none has."""

_SHORTEST = 0.1

_REASONS = {
    False: "it did not start in time (timeouts.start)",
    True: "it did not end in time (timeouts.finish)",
}


class Deadlines:
    """`on_runs` is called when runs were cancelled: workers let go of them, and others find a place."""

    def __init__(self, connect: Callable[[], Awaitable[Connection]], *, on_runs: Callable[[], None]) -> None:
        self._connect = connect
        self._on_runs = on_runs
        self._outbox = Outbox()

    async def tick(self) -> float:
        """Cancel what is overdue; returns the seconds until the next look."""
        async with await self._connect() as conn:
            while await self._cancel(conn) == _AT_ONCE:
                pass
            due_in = await runs.next_deadline(conn)
            longest = _OFTEN if _some_have_timeouts(await self._outbox.refresh(conn)) else _SELDOM
        return longest if due_in is None else max(_SHORTEST, min(longest, due_in))

    async def _cancel(self, conn: Connection) -> int:
        """Cancel runs that are overdue; how many."""
        async with conn.transaction():
            await waits.lock_names(conn, accepted=[CANCELLED, FINISHED, DEFERRED])
            overdue = await runs.overdue(conn, _AT_ONCE)
            if overdue:
                reasons = {run_id: _REASONS[started] for run_id, started in overdue}
                await self._outbox.cancel(conn, reasons)
        if overdue:
            log.warning("runs cancelled: their time is over", runs=len(overdue))
            self._on_runs()
        return len(overdue)


def _some_have_timeouts(functions: Mapping[str, Start]) -> bool:
    return any(start.rules and "timeouts" in start.rules.flow for start in functions.values())
