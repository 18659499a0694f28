"""A worker process: executes user code, apart from the listener.

It is told to wake by bytes on stdin and reports by JSON lines on what was its stdout; end of stdin means that the
parent is gone. What user code prints goes to stderr with the logs.
"""

from __future__ import annotations

import asyncio
import os
import sys
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from io import TextIOWrapper
from typing import Any

import orjson
import structlog

from cdc import discovery
from cdc.authoring.function import Function
from cdc.config import Settings
from cdc.engine.worker import Worker
from cdc.errors import CdcError, DatabaseUnreachable, LeaseLost
from cdc.service import tracing
from cdc.service.databases import Databases
from cdc.service.ledger import Ledger
from cdc.service.models import embedder, models_of
from cdc.service.named import configured, with_sources
from cdc.service.process import prepare
from cdc.service.reaching import Reaching
from cdc.service.stopping import Stopping
from cdc.service.tallying import tell, tell_forever
from cdc.store import notifications
from cdc.store.failures import ConnectionTrouble

log = structlog.get_logger(__name__)

_SHORTEST_PAUSE = 0.25
_LONGEST_PAUSE = 5.0

_GATHER = 0.005
"""Seconds to gather what became due before the parent hears of it."""

_LAST_WORDS = 2.0
"""Seconds from the end of the work to the end of the process, whatever user code still does in threads."""


class Reports:
    """The line to the parent. Taking it away from stdout keeps user code's prints out of it; they are logs now, and
    come when they are made. `ready` says that a worker of this process was ready once.
    """

    def __init__(self) -> None:
        self.ready = False
        self._owed = False
        self._file = os.fdopen(os.dup(1), "wb", buffering=0)
        os.dup2(2, 1)
        if isinstance(sys.stdout, TextIOWrapper):
            sys.stdout.reconfigure(line_buffering=True)

    def due(self) -> None:
        """Runs became due that others may execute; said once for all within a few milliseconds."""
        if not self._owed:
            self._owed = True
            asyncio.get_running_loop().call_later(_GATHER, self._say_due)

    def _say_due(self) -> None:
        self._owed = False
        self.send(due=True)

    def tell(self, **report: Any) -> None:
        """The same, of what only matters to who knows that we are ready."""
        if self.ready:
            self.send(**report)

    def send(self, **report: Any) -> None:
        """One report; a parent that is gone does not hear it."""
        self.ready |= "ready" in report
        with suppress(BrokenPipeError):
            self._file.write(orjson.dumps(report) + b"\n")


async def run(settings: Settings, *, check: bool = False, pooled: bool = False) -> int:
    """Work until told to stop; returns the exit code. With `check`, only load the functions and report.

    `pooled`: there is a transaction pooler before the state database.
    """
    reports = Reports()
    try:
        functions = discovery.discover(discovery.search_path(settings.functions))
        if check:
            reports.send(loaded=len(functions))
        else:
            # After the functions are loaded: an SDK that one of them sets up is left alone.
            traces = tracing.start()
            try:
                await _work(settings, functions, reports, pooled=pooled)
            finally:
                if traces:
                    await traces.close()
    except CdcError as error:
        reports.send(error={"kind": type(error).__name__, "message": error.message, "hint": error.hint})
        return _ending(error.exit_code)
    return _ending(0)


def _ending(code: int) -> int:
    """Python waits for threads at its end, and a step may block its own for ever; its run is given back by now."""
    watchdog = threading.Timer(_LAST_WORDS, os._exit, [code])
    watchdog.daemon = True
    watchdog.start()
    return code


async def _work(settings: Settings, functions: Mapping[str, Function], reports: Reports, *, pooled: bool) -> None:
    databases = Databases.of(settings, settings.watched_url)
    if pooled:
        databases = databases.through_pooler()
    prepare()
    loop = asyncio.get_running_loop()
    loop.set_default_executor(ThreadPoolExecutor(settings.threads, thread_name_prefix="step"))
    ledger = Ledger(databases.to_state)
    embeds, models = embedder(settings, on_call=ledger), models_of(settings)
    reaching = Reaching(
        configured(settings, settings.watched_url),
        state=databases.state,
        models=embeds,
        sleeps=settings.listen is not None,
    )

    def change(sources: str) -> None:
        reaching.change(configured(with_sources(settings, sources), settings.watched_url))

    stopping = Stopping(change)

    def worker() -> Worker:
        return Worker(
            functions,
            url=databases.state,
            connect=lambda: databases.to_state(silent_for=settings.lease),
            sources=reaching,
            capacity=settings.concurrency,
            lease=settings.lease,
            models=models,
            inferences=settings.inferences,
            keeps_content=settings.ai_content == "keep",
            held=not stopping.woken,
            on_runs=reports.due,
        )

    telling = asyncio.create_task(tell_forever(reports.tell))
    try:
        await _lives(worker, stopping, reports, settings.shutdown_timeout)
        if stopping.orphaned:
            await _tell_others(databases)
    finally:
        await reaching.close()
        await embeds.close()
        await ledger.close()
        await models.close()
        telling.cancel()
        tell(reports.tell)


async def _tell_others(databases: Databases) -> None:
    """What this process gave back is due; its parent would have said so."""
    with suppress(*ConnectionTrouble, CdcError):
        async with await databases.to_state() as conn:
            await notifications.notify(conn, "due")


async def _lives(new_worker: Callable[[], Worker], stopping: Stopping, reports: Reports, grace: float) -> None:
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
