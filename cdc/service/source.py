"""One watched database: its slot, publication, listener and status, started and stopped as one."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial

import structlog

from cdc.config import Settings
from cdc.embedding.gather import Embedder
from cdc.errors import CdcError
from cdc.listener.source import Watched
from cdc.maintenance.loop import Loop
from cdc.service import listening
from cdc.service.absences import Absences
from cdc.service.backfilling import request_again
from cdc.service.databases import Databases
from cdc.service.following import Following
from cdc.service.indexing import Indexing
from cdc.service.listening import Listening, until_opened
from cdc.service.named import Named
from cdc.service.parts import Parts, cancel
from cdc.service.refusals import explained
from cdc.service.roles import Role
from cdc.store import publications
from cdc.store.failures import ConnectionTrouble, StatementFailed
from cdc.web.status import Status

log = structlog.get_logger(__name__)

_FOLLOW_EVERY = 2.0
_SELDOM = 8
_PAUSE = 1.0

_SHORTEST_PAUSE = 0.5
_LONGEST_PAUSE = 15.0
"""Seconds between attempts to watch a source that cannot be watched."""


@dataclass(frozen=True, slots=True)
class Hooks:
    """`on_attached`: slot and checkpoint of a source belong together; `on_runs`: some are due; `on_change`: of a
    status; `on_events`: some were accepted.
    """

    on_attached: Callable[[Named], None]
    on_runs: Callable[[], None]
    on_change: Callable[[], None]
    on_events: Callable[[], None] = lambda: None


@dataclass(frozen=True, slots=True)
class Shared:
    """What all sources of a service have in common. `databases`: the state, whatever is watched."""

    settings: Settings
    databases: Databases
    roles: frozenset[Role]
    models: Embedder
    absences: Absences
    hooks: Hooks


def watched(settings: Settings, named: Named) -> Watched:
    """A source as its settings have it."""
    return Watched(
        named.url,
        named.name,
        named.slot,
        settings.publication,
        failover=settings.failover,
        on_loss=settings.on_slot_loss,
        on_gap=partial(request_again, named.name),
    )


class Source:
    """Watches one database as far as the roles ask for it."""

    def __init__(self, named: Named, shared: Shared) -> None:
        settings = shared.settings
        on_change = shared.hooks.on_change
        self.named = named
        self.status = Status(named.name, named.slot, settings.publication)
        self._shared = shared
        self._databases = shared.databases.watching(named)
        self._watched = watched(settings, named)
        self._following = Following(settings, named.url, shared.models, self.status, shared.absences)
        rests = settings.listen is not None
        self._indexing = Indexing(named.name, self._databases, memory=settings.index_memory, rests=rests)
        hooks = listening.Hooks(
            self._attached, shared.hooks.on_runs, on_change, self._indexing.wake, shared.hooks.on_events
        )
        self._listening = Listening(
            self._watched, self._databases, self._following, self.status, hooks, every=settings.listen
        )
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

    def start(self, on_end: Callable[[asyncio.Task[None]], None]) -> None:
        """Watch until `stop`, or until a failure, of which `on_end` hears.

        That of DATABASE_URL must have been prepared; it fails when it cannot be watched. Others are tried for ever.
        """
        life = self._watch() if self.named.is_home else self._watch_persistently()
        self._task = asyncio.create_task(life, name=f"source {self.named.name}")
        self._task.add_done_callback(on_end)

    async def stop(self) -> None:
        """Let the listener end after what it is accepting, then all else."""
        if self._task is not None:
            await cancel(self._task)

    def registered(self) -> None:
        """Workers of this service registered functions: have the listener, wherever it is, follow them."""
        self._registered.set()

    @property
    def _listens(self) -> bool:
        return "listener" in self._shared.roles

    async def _watch_persistently(self) -> None:
        pause = _SHORTEST_PAUSE
        while True:
            began = asyncio.get_running_loop().time()
            try:
                await self._databases.prepare_watched(self._shared.settings, listens=self._listens, patience=0.0)
                await self._watch()
            except (CdcError, StatementFailed) as error:
                known = error if isinstance(error, CdcError) else explained(error)
                if known is None:
                    raise
                pause = _SHORTEST_PAUSE if asyncio.get_running_loop().time() - began > _LONGEST_PAUSE else pause
                self._cannot_be_watched(known, pause)
            await asyncio.sleep(pause)
            pause = min(pause * 2, _LONGEST_PAUSE)

    async def _watch(self) -> None:
        async with AsyncExitStack() as stack:
            parts = Parts(stack)
            if self._shared.roles != {"web"}:
                parts.start("registrations", self._announce_forever())
            if self._listens:
                parts.loop(Loop("follower", _FOLLOW_EVERY, self._retry_following))
                parts.loop(Loop("status", 1.0, self._listening.look))
                parts.start("indexing", self._indexing.go_on_forever())
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
        if "worker" in self._shared.roles:
            if not self.named.is_home:
                self._tried("No listener has opened it yet.")
            await until_opened(self._watched, self._databases)
        self._attached()
        self.status.attached = True
        self._shared.hooks.on_change()
        await asyncio.Event().wait()

    # --- what becomes known of it -------------------------------------------------------------------------------

    def _attached(self) -> None:
        """Slot and checkpoint belong together, whoever listens."""
        self.status.problem = None
        self._indexing.wake()
        self._shared.hooks.on_attached(self.named)

    def _cannot_be_watched(self, error: CdcError, pause: float) -> None:
        """Loudly, but not for every attempt."""
        name = self.named.name
        # Hints speak of the source that commands are about when they are not told.
        hint = error.hint.replace("'cdc slot drop'", f"'cdc slot drop --source {name}'")
        problem = f"{error.message} {hint}".strip()
        if self.status.problem != problem:
            log.error("source cannot be watched", source=name, reason=error.message, hint=hint, seconds=pause)
        self.status.attached = False
        self._shared.absences.forget(name)
        self._tried(problem)

    def _tried(self, problem: str) -> None:
        self.status.problem = problem
        self._shared.hooks.on_change()
