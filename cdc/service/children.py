"""The worker processes: started, woken, replaced when they die, stopped."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import structlog

from cdc.errors import CdcError
from cdc.service.worker_process import Child, Died

log = structlog.get_logger(__name__)

_SHORTEST_PAUSE = 0.5
_LONGEST_PAUSE = 30.0

_ENDING = 10.0
"""Seconds that a process has to end once its runs are done or let go of: more than all that it waits for then."""

_TRIES = 3
"""Starts of a process before the service gives up; later, one that cannot start is tried for ever."""


@dataclass(frozen=True, slots=True)
class Hooks:
    """What the service does when a worker is ready, or registered functions after that; when it made runs that are due;
    when it died (with its id).
    """

    on_ready: Callable[[], None]
    on_due: Callable[[], None]
    on_death: Callable[[int], Awaitable[None]]


class Children:
    """`count` worker processes."""

    def __init__(self, count: int, child: Callable[[], Child], *, grace: float, hooks: Hooks) -> None:
        self._children = [child() for _ in range(count)]
        self._grace = grace
        self._hooks = hooks
        self._keepers: list[asyncio.Task[None]] = []
        self._begun = False

    @property
    def worker_ids(self) -> list[int]:
        """Of those that are ready."""
        return [child.worker_id for child in self._children if child.worker_id is not None]

    def kill(self, worker_id: int) -> None:
        """End a process that does not answer any more; another takes its place."""
        for child in self._children:
            if child.worker_id == worker_id:
                log.error("worker process killed: its event loop stands still", pid=child.pid)
                child.kill()

    @property
    def up(self) -> bool:
        """Whether all are ready; so are none, where none is wanted."""
        return all(child.worker_id is not None for child in self._children)

    async def start(self) -> None:
        """Start all and wait until they are ready.

        Raises:
            CdcError: what a child reported: a function file that cannot be loaded, say.
        """
        await asyncio.gather(*(self._start(child) for child in self._children))
        self._keepers = [asyncio.create_task(self._keep(child)) for child in self._children]
        self._hooks.on_ready()

    def begin(self) -> None:
        """Let the workers claim. Before, they hold still: whose runs these are is not known yet."""
        self._begun = True
        self.wake()

    def wake(self, but: Child | None = None) -> None:
        """Runs are due; one that made them itself knows."""
        if self._begun:
            for child in self._children:
                if child is not but:
                    child.wake()

    def change(self, sources: str) -> None:
        """Tell all which sources there are now, as in CDC_SOURCES."""
        for child in self._children:
            child.change(sources)

    async def restart(self) -> None:
        """Replace all processes; runs in flight are released and go on in the new ones.

        All old ones end before: functions that no live worker has any more are then archived.
        """
        await self.stop()
        for child in self._children:
            child.worker_id = None
        self._keepers = [asyncio.create_task(self._keep(child, pause=0.0)) for child in self._children]

    async def stop(self) -> None:
        """Let them finish or release their runs; kill those that take longer than that may."""
        for keeper in self._keepers:
            keeper.cancel()
        await asyncio.gather(*(child.stop(self._grace + _ENDING) for child in self._children))

    async def _start(self, child: Child) -> None:
        """The first start: a process that dies without a word may have been killed, and is tried again."""
        for tries_left in reversed(range(_TRIES)):
            try:
                await child.start()
                break
            except CdcError as error:
                if not tries_left or not (error.transient or isinstance(error, Died)):
                    raise
                log.warning("worker process cannot start", reason=str(error), seconds=_SHORTEST_PAUSE)
                await asyncio.sleep(_SHORTEST_PAUSE)

    async def _keep(self, child: Child, pause: float | None = None) -> None:
        """Replace the process whenever it dies, slower when it keeps dying. With a `pause` it is not there yet."""
        while True:
            if pause is None:
                pause = await self._until_dead(child)
            await asyncio.sleep(pause)
            try:
                await child.start()
            except (CdcError, OSError) as error:
                pause = _longer(pause)
                log.warning("worker process cannot start", reason=str(error), seconds=pause)
                continue
            if self._begun:
                child.wake()
            self._hooks.on_ready()
            pause = None

    async def _until_dead(self, child: Child) -> float:
        """Follow the process to its end; returns how long to wait before the next."""
        lived = await child.end(lambda: self._due(child), self._hooks.on_ready)
        log.error("worker process died", exit_code=child.exit_code, pid=child.pid)
        worker_id, child.worker_id = child.worker_id, None
        if worker_id is not None:
            await self._hooks.on_death(worker_id)
        child.deaths = 1 if lived > _LONGEST_PAUSE else child.deaths + 1
        return 0.0 if lived > _LONGEST_PAUSE else min(_SHORTEST_PAUSE * 2 ** (child.deaths - 1), _LONGEST_PAUSE)

    def _due(self, child: Child) -> None:
        self.wake(but=child)
        self._hooks.on_due()


def _longer(pause: float) -> float:
    return min(max(_SHORTEST_PAUSE, pause * 2), _LONGEST_PAUSE)
