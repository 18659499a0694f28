"""The rescuer: ends leases that ran out and queues their runs again."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import structlog

from cdc.maintenance.loop import Loop
from cdc.store import workers
from cdc.store.connect import Connection

log = structlog.get_logger(__name__)


def rescuer(connect: Callable[[], Awaitable[Connection]], *, lease: float, on_runs: Callable[[], None]) -> Loop:
    """The loop; `on_runs` is called when runs were queued again, or inferences given back."""

    async def tick() -> None:
        async with await connect() as conn:
            expired, rescued = await workers.rescue(conn)
        if expired:
            log.warning("rescued", workers=expired, runs=rescued)
            on_runs()

    return Loop("rescuer", max(1.0, lease / 3), tick)
