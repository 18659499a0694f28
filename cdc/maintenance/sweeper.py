"""The sweeper: a safety net under flow control. Whoever frees a place calls the next; should that ever be lost, no run
stands for longer than a few sweeps.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import structlog

from cdc.store import gates
from cdc.store.connect import Connection

log = structlog.get_logger(__name__)

_PAGE = 500
"""Gates that one sweep looks at; the next goes on from there."""


class Sweeper:
    """`on_runs` is called when runs were called."""

    def __init__(self, connect: Callable[[], Awaitable[Connection]], *, on_runs: Callable[[], None]) -> None:
        self._connect = connect
        self._on_runs = on_runs
        self._after = ""

    async def tick(self) -> None:
        """Look at the next gates where runs stand."""
        async with await self._connect() as conn:
            seen = await gates.adrift(conn, self._after, _PAGE)
            self._after = seen[-1][0] if len(seen) == _PAGE else ""
            adrift = [name for name, needs in seen if needs]
            if adrift and await gates.mend(conn, adrift):
                log.info("runs called to their places", gates=len(adrift))
                self._on_runs()
