"""The worker processes: started, woken, replaced when they die, stopped."""

from __future__ import annotations

import asyncio
import os
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress

import orjson
import structlog

from cdc import errors
from cdc.errors import CdcError

log = structlog.get_logger(__name__)

_LONGEST_PAUSE = 30.0


class Children:
    """`count` worker processes. `on_death` gets the worker id of one that died, to give its runs away at once."""

    def __init__(
        self, count: int, environment: Mapping[str, str], *, grace: float, on_death: Callable[[int], Awaitable[None]]
    ) -> None:
        self._environment = {**os.environ, **environment}
        self._grace = grace
        self._on_death = on_death
        self._children = [Child(self._environment) for _ in range(count)]
        self._keepers: list[asyncio.Task[None]] = []
        self._woken = False

    async def start(self) -> None:
        """Start all and wait until they are ready.

        Raises:
            CdcError: what a child reported: a function file that cannot be loaded, say.
        """
        for child in self._children:
            await child.start()
        self._keepers = [asyncio.create_task(self._keep(child)) for child in self._children]

    def wake(self) -> None:
        """Runs are due. Before the first call the workers hold still: whose runs these are is not known yet."""
        self._woken = True
        for child in self._children:
            child.wake()

    async def stop(self) -> None:
        """Let them finish or release their runs; kill those that take longer than that may."""
        for keeper in self._keepers:
            keeper.cancel()
        await asyncio.gather(*(child.stop(self._grace + 5.0) for child in self._children))

    async def _keep(self, child: Child) -> None:
        """Replace the process whenever it dies, slower when it keeps dying."""
        pause = 0.0
        while True:
            lived = await child.end()
            log.error("worker process died", exit_code=child.exit_code, pid=child.pid)
            if child.worker_id is not None:
                await self._on_death(child.worker_id)
            pause = 0.0 if lived > _LONGEST_PAUSE else min(max(0.5, pause * 2), _LONGEST_PAUSE)
            await asyncio.sleep(pause)
            try:
                await child.start()
                if self._woken:
                    child.wake()
            except (CdcError, OSError) as error:
                log.warning("worker process cannot start", reason=str(error))


class Child:
    """One worker process and the line to it."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = environment
        self._process: Process | None = None
        self._started_at = 0.0
        self.worker_id: int | None = None

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
            CdcError: what it reported instead of being ready.
        """
        self.worker_id = None
        self._started_at = asyncio.get_running_loop().time()
        self._process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "cdc",
            "worker",
            stdin=PIPE,
            stdout=PIPE,
            env=self._environment,
            start_new_session=True,
        )
        await self._hear()

    def wake(self) -> None:
        """Runs are due."""
        if self._process and self._process.stdin and not self._process.stdin.is_closing():
            self._process.stdin.write(b"\n")

    async def end(self) -> float:
        """Wait until the process has ended; returns how many seconds it lived."""
        assert self._process is not None, "it was started"
        while await self._report() is not None:
            pass
        await self._process.wait()
        return asyncio.get_running_loop().time() - self._started_at

    async def stop(self, within: float) -> None:
        """End the process; tolerates one that never started or has ended."""
        process = self._process
        if process is None or process.returncode is not None:
            return
        with suppress(ProcessLookupError):
            process.terminate()
        try:
            await asyncio.wait_for(process.wait(), within)
        except TimeoutError:
            log.warning("worker process killed: it did not stop in time", pid=process.pid)
            process.kill()
            await process.wait()
        except asyncio.CancelledError:  # a second signal
            with suppress(ProcessLookupError):
                process.kill()
            raise

    async def _hear(self) -> None:
        """The first report: ready, or why not."""
        report = await self._report()
        if report is None:
            assert self._process is not None, "it was started"
            code = await self._process.wait()
            raise CdcError(
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
        if not line:
            return None
        report: dict[str, object] = orjson.loads(line)
        if isinstance(worker_id := report.get("ready"), int):
            self.worker_id = worker_id
        return report
