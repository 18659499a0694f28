"""A worker process: executes user code, apart from the listener.

It is told to wake by bytes on stdin and reports by JSON lines on what was its stdout; end of stdin means that the
parent is gone. What user code prints goes to stderr with the logs.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

import orjson
import structlog

from cdc import discovery
from cdc.config import Settings
from cdc.embedding.declared import Declared
from cdc.engine.worker import Worker
from cdc.errors import CdcError, LeaseLost
from cdc.service.models import embedder
from cdc.store import json
from cdc.store.connect import connect, pool

log = structlog.get_logger(__name__)

_LAST_WORDS = 2.0
"""Seconds from the end of the work to the end of the process, whatever user code still does in threads."""


class Reports:
    """The line to the parent. Taking it away from stdout keeps user code's prints out of it."""

    def __init__(self) -> None:
        self._file = os.fdopen(os.dup(1), "wb", buffering=0)
        os.dup2(2, 1)

    def send(self, **report: Any) -> None:
        """One report; a parent that is gone does not hear it."""
        with suppress(BrokenPipeError):
            self._file.write(orjson.dumps(report) + b"\n")


async def run(settings: Settings) -> int:
    """Work until told to stop; returns the exit code."""
    reports = Reports()
    try:
        await _work(settings, reports)
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


async def _work(settings: Settings, reports: Reports) -> None:
    assert settings.database_url is not None, "the parent sets it"
    url = settings.database_url.get_secret_value()
    functions = discovery.discover(discovery.search_path(settings.functions))
    json.register()
    loop = asyncio.get_running_loop()
    loop.set_default_executor(ThreadPoolExecutor(settings.threads, thread_name_prefix="step"))
    models = embedder(settings)
    async with pool(url, size=8, name="ctx.db") as db:
        embeddings = Declared(db, models.embed)
        stopping = Stopping(settings.shutdown_timeout)
        try:
            while not stopping.asked:
                worker = Worker(
                    functions,
                    url=url,
                    connect=lambda: connect(url, autocommit=True),
                    db=db,
                    embeddings=embeddings,
                    capacity=settings.concurrency,
                    lease=settings.lease,
                )
                await stopping.follow(worker)
                await _life(worker, stopping, reports)
        finally:
            await models.close()


async def _life(worker: Worker, stopping: Stopping, reports: Reports) -> None:
    try:
        await worker.run(ready=lambda worker_id: reports.send(ready=worker_id), grace=stopping.grace)
    except LeaseLost as lost:
        log.warning("worker starts over", reason=lost.message)


class Stopping:
    """Listens for what the parent wants: wake-ups, SIGTERM, or its own end."""

    def __init__(self, grace: float) -> None:
        self._grace = grace
        self._worker: Worker | None = None
        self._reading = False
        self.asked = False
        self.orphaned = False
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGTERM, self._stop)

    @property
    def grace(self) -> float:
        """Seconds for runs in flight; none when the parent is gone."""
        return 0.0 if self.orphaned else self._grace

    async def follow(self, worker: Worker) -> None:
        """Tell this worker from now on."""
        self._worker = worker
        if not self._reading:
            self._reading = True
            await asyncio.get_running_loop().connect_read_pipe(lambda: _Orders(self), sys.stdin)

    def wake(self) -> None:
        """The parent says that runs are due."""
        if self._worker:
            self._worker.wake()

    def orphan(self) -> None:
        """The parent is gone."""
        self.orphaned = True
        self._stop()

    def _stop(self) -> None:
        self.asked = True
        if self._worker:
            self._worker.stop()


class _Orders(asyncio.Protocol):
    def __init__(self, stopping: Stopping) -> None:
        self._stopping = stopping

    def data_received(self, data: bytes) -> None:
        self._stopping.wake()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stopping.orphan()
