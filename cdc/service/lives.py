"""One worker after the other in a process of its own, until it is told to stop."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from contextlib import suppress

import structlog

from cdc.engine.worker import Worker
from cdc.errors import CdcError, DatabaseUnreachable, LeaseLost
from cdc.service.databases import Databases
from cdc.service.reports import Reports
from cdc.service.stopping import Stopping
from cdc.store import notifications
from cdc.store.failures import ConnectionTrouble

log = structlog.get_logger(__name__)

_SHORTEST_PAUSE = 0.25
_LONGEST_PAUSE = 5.0

_LAST_WORDS = 2.0
"""Seconds from the end of the work to the end of the process, whatever user code still does in threads."""


async def tell_others(databases: Databases) -> None:
    """What this process gave back is due; its parent would have said so."""
    with suppress(*ConnectionTrouble, CdcError):
        async with await databases.to_state() as conn:
            await notifications.notify(conn, "due")


async def live(new_worker: Callable[[], Worker], stopping: Stopping, reports: Reports, grace: float) -> None:
    """One worker after the other: a lease is lost when this process, the network or the server stands still.

    Raises:
        CdcError: the first one could not begin; or none can, and waiting would not help.
    """
    pause = _SHORTEST_PAUSE
    while not stopping.asked.is_set():
        worker = new_worker()
        await stopping.follow(worker)
        try:
            await worker.run(ready=lambda worker_id: reports.send(ready=worker_id), grace=grace)
        except LeaseLost as lost:
            reason, pause = lost.message, _SHORTEST_PAUSE
        except (DatabaseUnreachable, *ConnectionTrouble) as error:
            if not reports.ready:
                raise
            reason, pause = str(error).strip(), min(pause * 2, _LONGEST_PAUSE)
        else:
            return
        log.warning("worker starts over", reason=reason, seconds=pause)
        await stopping.within(pause)


def ending(code: int) -> int:
    """Python waits for threads at its end, and a step may block its own for ever; its run is given back by now."""
    watchdog = threading.Timer(_LAST_WORDS, os._exit, [code])
    watchdog.daemon = True
    watchdog.start()
    return code
