"""The worker process that calls apps: there is one as soon as there are apps."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import structlog

from cdc.errors import CdcError
from cdc.service.children import Children, Hooks
from cdc.service.worker_process import Child
from cdc.store import apps
from cdc.store.connect import Connection
from cdc.store.failures import ConnectionTrouble

log = structlog.get_logger(__name__)


class Calling:
    """Starts the process when there are apps, at once or when somebody looks; a service without apps has none."""

    def __init__(
        self,
        connect: Callable[[], Awaitable[Connection]],
        child: Callable[[], Child],
        *,
        grace: float,
        hooks: Hooks,
    ) -> None:
        self._connect = connect
        self._children = Children(1, child, grace=grace, hooks=hooks)
        self._turn = asyncio.Lock()
        self._looking: asyncio.Task[None] | None = None
        self._begun = False
        self.started = False

    @property
    def worker_ids(self) -> list[int]:
        """Of the process, when it is ready."""
        return self._children.worker_ids if self.started else []

    def kill(self, worker_id: int) -> None:
        """End the process if it is this one; another takes its place."""
        self._children.kill(worker_id)

    def begin(self) -> None:
        """Let it claim, now or when it is there."""
        self._begun = True
        if self.started:
            self._children.begin()

    def wake(self) -> None:
        """Runs are due, or the apps are others now."""
        if self.started:
            self._children.wake()

    async def look(self) -> None:
        """Start the process if there are apps; while the database is away nothing is known of that."""
        if self.started:
            return
        try:
            async with await self._connect() as conn:
                if await apps.served(conn):
                    await self.start()
        except (*ConnectionTrouble, CdcError) as error:
            log.warning("whether there are apps is not known", reason=str(error).strip())

    def look_soon(self) -> None:
        """The same, without waiting for it."""
        if not self.started and (self._looking is None or self._looking.done()):
            self._looking = asyncio.create_task(self.look(), name="apps")

    async def start(self) -> None:
        """Start the process, unless it is there.

        Raises:
            CdcError: what it reported instead of being ready.
        """
        async with self._turn:
            if not self.started:
                await self._children.start()
                self.started = True
                if self._begun:
                    self._children.begin()

    async def stop(self) -> None:
        """Let calls end or give their runs back."""
        if self._looking is not None:
            self._looking.cancel()
        if self.started:
            await self._children.stop()
