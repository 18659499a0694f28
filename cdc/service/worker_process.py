"""One worker process and the line to it."""

from __future__ import annotations

import asyncio
import os
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress

import orjson
import structlog

from cdc import errors
from cdc.errors import CdcError
from cdc.service.tallying import hear

log = structlog.get_logger(__name__)


_LAST_REPORTS = 1.0
"""Seconds for the end of the reports, when a process has ended; another that it left behind may hold the line."""


class Died(CdcError):
    """A process ended before its first report."""


def _nothing() -> None:
    """Nobody wants to know."""


class Child:
    """A process `cdc worker`. `worker_id` is set while it is ready; `deaths` is for who keeps it."""

    def __init__(self, environment: Callable[[], Mapping[str, str]], arguments: Sequence[str] = ()) -> None:
        self._environment = environment
        self._arguments = arguments
        self._process: Process | None = None
        self._started_at = 0.0
        self._sources = b""
        self.worker_id: int | None = None
        self.deaths = 0

    @property
    def pid(self) -> int | None:
        """Of the process, while there is one."""
        return self._process.pid if self._process else None

    @property
    def exit_code(self) -> int | None:
        """Of the process, once it has ended; negative: the signal."""
        return self._process.returncode if self._process else None

    async def start(self) -> None:
        """Start the process and wait for its first report.

        Raises:
            Died: it ended without one.
            CdcError: what it reported instead of being ready.
        """
        self.worker_id, self._sources = None, b""
        self._started_at = asyncio.get_running_loop().time()
        self._process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "cdc", "worker", *self._arguments),
            stdin=PIPE,
            stdout=PIPE,
            env={**os.environ, **self._environment()},
            start_new_session=True,
        )
        self._tell(self._sources)  # of a change since its environment was made
        await self._hear()

    def wake(self) -> None:
        """Runs are due."""
        self._tell(b"\n")

    def change(self, sources: str) -> None:
        """The sources are these now, as in CDC_SOURCES. Not in the arguments: URLs carry passwords."""
        self._sources = orjson.dumps(sources) + b"\n"
        self._tell(self._sources)

    def _tell(self, line: bytes) -> None:
        if self._process and self._process.stdin and not self._process.stdin.is_closing():
            self._process.stdin.write(line)

    def kill(self) -> None:
        """End the process at once."""
        if self._process is not None:
            with suppress(ProcessLookupError):
                self._process.kill()

    async def end(self, on_due: Callable[[], None] = _nothing, on_registered: Callable[[], None] = _nothing) -> float:
        """Wait until the process has ended; returns how many seconds it lived. `on_due`: it made runs that are due;
        `on_registered`: it registered functions, though it was ready long before.
        """
        assert self._process is not None, "it was started"
        while (report := await self._report()) is not None:
            if "due" in report:
                on_due()
            if "registered" in report:
                on_registered()
        await self._process.wait()
        return asyncio.get_running_loop().time() - self._started_at

    async def stop(self, within: float) -> None:
        """End the process; tolerates one that never started or has ended."""
        process = self._process
        if process is None or process.returncode is not None:
            return
        with suppress(ProcessLookupError):
            process.terminate()
        hearing = asyncio.create_task(self._hear_out())
        try:
            async with asyncio.timeout(within):
                await process.wait()
            await asyncio.wait({hearing}, timeout=_LAST_REPORTS)
        except TimeoutError:
            log.warning("worker process killed: it did not stop in time", pid=process.pid)
            process.kill()
            await process.wait()
        except asyncio.CancelledError:  # a second signal
            with suppress(ProcessLookupError):
                process.kill()
            raise
        finally:
            hearing.cancel()

    async def _hear_out(self) -> None:
        """Its reports to their end: what it counted, at last."""
        while await self._report() is not None:
            pass

    async def _hear(self) -> None:
        """The first report: ready, or why not."""
        report = await self._report()
        if report is None:
            assert self._process is not None, "it was started"
            code = await self._process.wait()
            raise Died(
                f"A worker process ended with code {code} before it was ready.", hint="Its own output above says why."
            )
        if isinstance(error := report.get("error"), dict):
            kind = getattr(errors, error["kind"], CdcError)
            raise kind(error["message"], hint=error["hint"])

    async def _report(self) -> dict[str, object] | None:
        """The next report; None at their end. A worker whose lease was lost reports a new id."""
        assert self._process is not None, "it was started"
        assert self._process.stdout is not None, "it has a pipe"
        line = await self._process.stdout.readline()
        if not line.endswith(b"\n"):
            return None
        report: dict[str, object] = orjson.loads(line)
        if isinstance(worker_id := report.get("ready"), int):
            self.worker_id = worker_id
        hear(report)
        return report
