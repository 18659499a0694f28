"""The service: builds every part, starts in order, stops in reverse."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import AsyncExitStack
from typing import Any

import structlog

from cdc import discovery
from cdc.config import Settings
from cdc.errors import CdcError
from cdc.listener.source import Watched
from cdc.maintenance import upkeep
from cdc.maintenance.loop import Loop
from cdc.service import children, listening
from cdc.service.children import Children
from cdc.service.databases import Databases
from cdc.service.following import Following
from cdc.service.listening import Listening, until_opened
from cdc.service.models import embedder
from cdc.service.process import prepare
from cdc.service.reloading import reload_forever
from cdc.service.roles import ALL, Role
from cdc.service.wakeups import POLL, Wakeups
from cdc.service.worker_process import Child
from cdc.store import publications, workers
from cdc.store.connect import Connection, pool
from cdc.store.failures import ConnectionTrouble
from cdc.web.app import app
from cdc.web.server import Web
from cdc.web.status import Status

log = structlog.get_logger(__name__)

SOURCE = "default"
"""Name of the one source that this version watches."""

_FOLLOW_EVERY = 2.0
_SELDOM = 8
_PAUSE = 1.0

_WATCH_EVERY = 10.0
_STUCK = 30.0
"""Seconds after which a worker that has not let go of a cancelled run is taken for stuck."""


async def run(
    settings: Settings,
    url: str,
    *,
    only: frozenset[Role] = ALL,
    reload: bool = False,
    started: Callable[[str], None] = lambda address: None,
) -> None:
    """Run the service on `url` until cancelled; `started` gets the API's address once it is ready.

    Raises:
        CdcError: it cannot start, or cannot go on.
    """
    prepare()
    discovery.search_path(settings.functions)
    databases = Databases.of(settings, url, watches=only != {"web"})
    async with AsyncExitStack() as stack:
        service = _Service(settings, databases, only, stack, started)
        await databases.prepare(settings, only)
        await service.start()
        if reload:
            service.reload()
        await asyncio.wait(service.parts, return_when=asyncio.FIRST_COMPLETED)
        for part in service.parts:
            if part.done():
                part.result()


def watched(settings: Settings, databases: Databases) -> Watched:
    """The source of these settings."""
    return Watched(
        databases.watched,
        SOURCE,
        settings.slot,
        settings.publication,
        failover=settings.failover,
        on_loss=settings.on_slot_loss,
    )


class _Service:
    """The parts, and what each tells the others. They end with the stack, the last one first."""

    def __init__(
        self,
        settings: Settings,
        databases: Databases,
        roles: frozenset[Role],
        stack: AsyncExitStack,
        started: Callable[[str], None],
    ) -> None:
        self._settings = settings
        self._databases = databases
        self._roles = roles
        self._stack = stack
        self._started = started
        self._watched = watched(settings, databases)
        self._status = Status(SOURCE, settings.slot, settings.publication)
        # As if through a pooler: it is what finds out.
        self._wakeups = Wakeups(databases.through_pooler().to_state, self._wake)
        self._children = Children(0, self._child, grace=0.0, hooks=self._of_children())
        models = embedder(settings)
        stack.push_async_callback(models.close)
        self._following = Following(settings, databases.watched, models, self._status)
        self._registered = asyncio.Event()
        self._confirmed = asyncio.Event()
        self._address = ""
        self._retries = 0
        self.parts: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Start what the roles ask for."""
        await self._start_wakeups()
        if self._roles != {"web"}:
            await self._start_workers()
        listening = await self._listening() if "listener" in self._roles else None
        await self._start_web()
        if self._roles != {"web"}:
            lease, retention = self._settings.lease, self._settings.retention
            for loop in upkeep.loops(self._to_confirmed_state, lease=lease, retention=retention, on_runs=self._due):
                self._loop(loop)
        if listening is not None:
            self._start_listening(listening)
        else:
            self._part("source", self._until_opened())

    def reload(self) -> None:
        """Restart the workers from now on when function files change."""
        folders = discovery.search_path(self._settings.functions)
        self._part("reload", reload_forever(folders, self._children, self._child("--check")))

    # --- building the parts ---

    def _part(self, name: str, body: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Something that goes on for ever: the service ends when it does."""
        task = asyncio.create_task(body, name=name)
        self._stack.push_async_callback(_cancel, task)
        self.parts.append(task)
        return task

    def _loop(self, loop: Loop) -> None:
        self.parts.append(loop.start())
        self._stack.push_async_callback(loop.stop)

    def _child(self, *arguments: str) -> Child:
        pooled = ["--pooled"] if self._databases.pooled else []
        return Child({"DATABASE_URL": self._databases.watched}, [*arguments, *pooled])

    def _of_children(self) -> children.Hooks:
        return children.Hooks(on_ready=self._worker_ready, on_due=self._wakeups.due, on_death=self._release)

    async def _start_wakeups(self) -> None:
        self._stack.push_async_callback(self._wakeups.close)
        if await self._wakeups.test():
            hear = self._wakeups.hear_forever()
        else:
            log.warning(
                "no notifications from the state database: this service polls",
                seconds=POLL,
                reason="there is a transaction pooler before it",
            )
            self._databases = self._databases.through_pooler()
            hear = self._wakeups.poll_forever()
        self._part("notifier", self._wakeups.tell_forever())
        self._part("wake-ups", hear)

    async def _start_workers(self) -> None:
        count = self._settings.workers if "worker" in self._roles else 0
        grace = self._settings.shutdown_timeout
        self._children = Children(count, self._child, grace=grace, hooks=self._of_children())
        self._stack.push_async_callback(self._children.stop)
        self._part("registrations", self._announce_forever())
        self._loop(Loop("watch", _WATCH_EVERY, self._replace_stuck))
        await self._children.start()

    async def _start_web(self) -> None:
        connection = None
        if "web" in self._roles:
            state = pool(
                self._databases.state, size=2, name="web", prepared=False, answers_within=self._settings.network_timeout
            )
            connection = (await self._stack.enter_async_context(state)).connection
        keys = self._settings.event_keys
        held = app(self._status, connection, wake=self._due, keys=keys, confirmed=self._confirmed.is_set)
        web = Web(held, self._settings.port)
        self.parts.append(web.start())
        self._stack.push_async_callback(web.stop)
        self._address = web.url

    async def _listening(self) -> Listening:
        await self._following.declare()
        hooks = listening.Hooks(on_attached=self._begin, on_runs=self._due, on_change=self._changed)
        every = self._settings.listen
        return Listening(self._watched, self._databases, self._following, self._status, hooks, every=every)

    def _start_listening(self, listening: Listening) -> None:
        async def retry_following() -> None:
            """Soon after something went wrong, seldom otherwise."""
            self._retries += 1
            if listening.troubled or self._retries % _SELDOM == 0:
                await listening.retry_following()

        self._loop(Loop("follower", _FOLLOW_EVERY, retry_following))
        self._loop(Loop("status", 1.0, listening.look))
        task = asyncio.create_task(listening.listen_forever(), name="listener")
        self.parts.append(task)
        self._stack.push_async_callback(listening.stop, task)

    # --- what the parts tell each other ---

    def _begin(self) -> None:
        """The runs are this database's: whatever starts them or has them go on may."""
        self._confirmed.set()
        self._children.begin()

    async def _to_confirmed_state(self) -> Connection:
        """A connection to the state for those that start runs: not before it is known whose they are."""
        await self._confirmed.wait()
        return await self._databases.to_state()

    def _wake(self) -> None:
        self._children.wake()

    def _due(self) -> None:
        """Runs are due, for any worker of any service."""
        self._children.wake()
        self._wakeups.due()

    def _worker_ready(self) -> None:
        self._registered.set()
        self._changed()

    def _changed(self) -> None:
        """Say once that the service is ready."""
        self._status.working = self._children.up
        if self._address and self._status.ready:
            address, self._address = self._address, ""
            self._started(address)

    async def _release(self, worker_id: int) -> None:
        """A worker process is gone: its runs go to others at once, not when the lease runs out."""
        self._changed()
        try:
            async with await self._databases.to_state() as conn:
                released = await workers.leave(conn, [worker_id], died=True)
        except (*ConnectionTrouble, CdcError) as error:
            log.warning("runs of the dead worker wait for its lease to run out", reason=str(error).strip())
        else:
            log.info("runs released", worker=worker_id, runs=released)
            self._due()

    async def _replace_stuck(self) -> None:
        """A handler may block its worker's event loop for ever; that its run is cancelled, the worker cannot hear."""
        if worker_ids := self._children.worker_ids:
            async with await self._databases.to_state() as conn:
                for worker_id in await workers.stuck(conn, worker_ids, seconds=_STUCK):
                    self._children.kill(worker_id)

    async def _announce_forever(self) -> None:
        """Have the listener, wherever it is, follow what our workers registered."""
        while True:
            await self._registered.wait()
            self._registered.clear()
            try:
                async with await self._databases.to_watched() as conn:
                    await publications.announce(conn)
            except (*ConnectionTrouble, CdcError):
                self._registered.set()
                await asyncio.sleep(_PAUSE)

    async def _until_opened(self) -> None:
        """A service that never listens is ready when its workers may claim; one without workers at once."""
        if "worker" in self._roles:
            await until_opened(self._watched, self._databases)
        self._begin()
        self._status.attached = True
        self._changed()
        await asyncio.Event().wait()


async def _cancel(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.wait({task})
