"""One watched database: its slot, publication, listener and status, started and stopped as one."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack

from cdc.config import Settings
from cdc.embedding.gather import Embedder
from cdc.errors import CdcError
from cdc.listener.source import Watched
from cdc.maintenance.loop import Loop
from cdc.service.databases import Databases
from cdc.service.following import Following
from cdc.service.listening import Hooks, Listening, until_opened
from cdc.service.named import Named
from cdc.service.parts import Parts, cancel
from cdc.service.roles import Role
from cdc.store import publications
from cdc.store.failures import ConnectionTrouble
from cdc.web.status import Status

_FOLLOW_EVERY = 2.0
_SELDOM = 8
_PAUSE = 1.0


def watched(settings: Settings, named: Named) -> Watched:
    """A source as its settings have it."""
    return Watched(
        named.url,
        named.name,
        named.slot,
        settings.publication,
        failover=settings.failover,
        on_loss=settings.on_slot_loss,
    )


class Source:
    """Watches one database as far as the roles ask for it."""

    def __init__(
        self,
        named: Named,
        settings: Settings,
        databases: Databases,
        roles: frozenset[Role],
        models: Embedder,
        hooks: Hooks,
    ) -> None:
        self.named = named
        self.status = Status(named.name, named.slot, settings.publication)
        self._settings = settings
        self._databases = databases
        self._roles = roles
        self._hooks = hooks
        self._watched = watched(settings, named)
        self._following = Following(settings, named.url, models, self.status)
        every = settings.listen
        self._listening = Listening(self._watched, databases, self._following, self.status, hooks, every=every)
        self._registered = asyncio.Event()
        self._retries = 0
        self._task: asyncio.Task[None] | None = None

    async def declare(self) -> None:
        """Declare what CDC_EMBED asks for.

        Raises:
            ConfigurationError: it cannot be declared or served.
        """
        if self._listens:
            await self._following.declare()

    def start(self) -> asyncio.Task[None]:
        """Watch; the task ends only by a failure or by `stop`."""
        self._task = asyncio.create_task(self._watch(), name=f"source {self.named.name}")
        return self._task

    async def stop(self) -> None:
        """Let the listener end after what it is accepting, then all else."""
        if self._task is not None:
            await cancel(self._task)

    def registered(self) -> None:
        """Workers of this service registered functions: have the listener, wherever it is, follow them."""
        self._registered.set()

    @property
    def _listens(self) -> bool:
        return "listener" in self._roles

    async def _watch(self) -> None:
        async with AsyncExitStack() as stack:
            parts = Parts(stack)
            if self._roles != {"web"}:
                parts.start("registrations", self._announce_forever())
            if self._listens:
                parts.loop(Loop("follower", _FOLLOW_EVERY, self._retry_following))
                parts.loop(Loop("status", 1.0, self._listening.look))
                listening = asyncio.create_task(self._listening.listen_forever(), name="listener")
                parts.add(listening)
                stack.push_async_callback(self._listening.stop, listening)
            else:
                parts.start("opened", self._until_opened())
            await parts.until_one_ends()

    async def _retry_following(self) -> None:
        """Soon after something went wrong, seldom otherwise."""
        self._retries += 1
        if self._listening.troubled or self._retries % _SELDOM == 0:
            await self._listening.retry_following()

    async def _announce_forever(self) -> None:
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
        self._hooks.on_attached()
        self.status.attached = True
        self._hooks.on_change()
        await asyncio.Event().wait()
