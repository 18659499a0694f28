"""The listener of this service: it listens, or stands by until the slot is free."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

import structlog

from cdc.errors import CdcError, ListenerFenced, SlotInUse, SlotLost
from cdc.events.accept import Door
from cdc.listener.catalog import Catalog
from cdc.listener.listener import Listener
from cdc.listener.merging import Merging
from cdc.listener.source import Watched, attach, belongs
from cdc.service import resting
from cdc.service.backfilling import Backfilling
from cdc.service.databases import Databases
from cdc.service.following import Following
from cdc.service.parts import cancel
from cdc.store import server
from cdc.store.failures import ConnectionTrouble
from cdc.web.status import Status

log = structlog.get_logger(__name__)

_SHORTEST_PAUSE = 0.1
_LONGEST_PAUSE = 10.0

LOOK = 1.0
"""Seconds between looks whether a slot became free, or a source was opened."""


@dataclass(frozen=True, slots=True)
class Hooks:
    """`on_attached`: slot and checkpoint belong together, whoever listens; `on_runs`: some are due; `on_change`: of the
    status; `on_follow`: of what is declared, maybe; `on_events`: some were accepted.
    """

    on_attached: Callable[[], None]
    on_runs: Callable[[], None]
    on_change: Callable[[], None]
    on_follow: Callable[[], None] = lambda: None
    on_events: Callable[[], None] = lambda: None


class Listening:
    """Listens for ever, one listener after the other; or `every` so many seconds for as long as it takes to read what
    is there.
    """

    def __init__(
        self,
        watched: Watched,
        databases: Databases,
        following: Following,
        status: Status,
        hooks: Hooks,
        *,
        every: float | None = None,
    ) -> None:
        self._watched = watched
        self._databases = databases
        self._following = following
        self._backfilling = Backfilling(watched, databases)
        self._status = status
        self._hooks = hooks
        self._every = every
        self._stopping = False
        self._listener: Listener | None = None
        self._door: Door | None = None
        self._stands_by = False

    async def listen_forever(self) -> None:
        """Listen, and connect again whenever the stream is lost. While another service has the slot, stand by.

        Raises:
            CdcError: one that trying again does not mend.
        """
        if self._every is not None and not self._databases.apart:
            resting.tell_that_it_stays_awake()
        pause = _SHORTEST_PAUSE
        while True:
            began = asyncio.get_running_loop().time()
            try:
                await self._listen()
            except (SlotInUse, ListenerFenced) as taken:
                self._tell_standby(taken)
                await (self._until_free() if self._every is None else asyncio.sleep(self._every))
                continue
            except CdcError as error:
                if not (error.transient or (isinstance(error, SlotLost) and self._watched.on_loss == "recreate")):
                    raise
                reason = str(error)
            except ConnectionTrouble as error:
                reason = str(error).strip()
            else:
                if self._every is None or self._stopping:
                    return
                await self._rest(self._every)
                pause = _SHORTEST_PAUSE
                continue
            self._status.attached = self._stands_by = False
            self._status.problem = reason
            if asyncio.get_running_loop().time() - began > _LONGEST_PAUSE:
                pause = _SHORTEST_PAUSE
            log.warning("listener connects again", source=self._watched.name, reason=reason, seconds=pause)
            await asyncio.sleep(pause)
            pause = min(pause * 2, _LONGEST_PAUSE)

    async def drain(self) -> int:
        """Read once what is there as of now; how many events that were.

        Raises:
            CdcError: it could not be read to its end. What was accepted is.
        """
        await self._listen(drains=True)
        return self._listener.accepted if self._listener else 0

    async def stop(self, listening: asyncio.Task[None], within: float = 5.0) -> None:
        """Let the listener end after what it is accepting; cancel it when that takes longer than `within` seconds."""
        self._stopping = True
        if self._listener is not None and self._status.listening:
            self._listener.stop()
            await asyncio.wait({listening}, timeout=within)
        await cancel(listening)

    @property
    def troubled(self) -> bool:
        """Whether something cannot be followed at present."""
        return self._following.troubled

    async def retry_following(self) -> None:
        """Try again what could not be followed."""
        if self._door is not None and self._status.listening:
            await self._following.retry(self._door)
            await self._backfilling.follow(self._following.served, self._following.unserved)

    async def look(self) -> None:
        """Bring the status up to date."""
        if self._listener is not None:
            listener = self._listener
            self._status.look(listener.received, listener.checkpoint.end_lsn, time.monotonic(), idle=listener.is_idle)

    async def _listen(self, *, drains: bool = False) -> None:
        async with await self._databases.to_state() as state:
            self._door = door = Door(state)

            async def follow() -> None:
                await self._following.follow(door)
                await self._backfilling.follow(self._following.served, self._following.unserved)
                self._hooks.on_follow()

            await follow()
            async with await self._databases.to_watched() as source:
                checkpoint = await attach(self._watched, state, source)
                if self._every is not None:
                    await resting.check(source, self._watched.url, self._every)
            self._hooks.on_attached()
            shares_failover = self._watched.failover and not self._databases.apart
            merging = Merging()
            self._listener = Listener(
                self._watched,
                checkpoint,
                door,
                Catalog(self._databases.to_watched),
                follow=follow,
                on_runs=self._hooks.on_runs,
                on_listening=self._listens,
                answers_within=self._databases.answers_within,
                written=(lambda: server.wal_position(state)) if shares_failover else None,
                merging=merging,
                on_events=self._hooks.on_events,
            )
            try:
                async with self._backfilling.beside(merging, door), self._ending(self._listener, drains=drains):
                    await self._listener.run()
            finally:
                self._status.listening = False

    @asynccontextmanager
    async def _ending(self, listener: Listener, *, drains: bool) -> AsyncIterator[None]:
        """Where it drains, end the listener at the end of WAL as it is once no backfill gets any further."""
        if not drains and self._every is None:
            yield
            return
        bounding = asyncio.create_task(self._bound(listener), name="bound")
        try:
            yield
        finally:
            await cancel(bounding)
        if not bounding.cancelled():
            bounding.result()

    async def _bound(self, listener: Listener) -> None:
        try:
            async with await self._databases.to_state() as state:
                await resting.until_backfilled(state, self._watched.name)
            async with await self._databases.to_watched() as source:
                listener.read_until(await server.wal_position(source))
        except Exception:
            listener.stop()
            raise

    def _listens(self) -> None:
        self._stands_by = False
        self._status.listening = True
        self._status.attached = True
        self._hooks.on_change()

    async def _rest(self, seconds: float) -> None:
        """Everything is read; nothing of ours is connected to the watched database until there may be more."""
        self._stands_by = False
        self._status.attached = True
        self._hooks.on_change()
        accepted = self._listener.accepted if self._listener else 0
        log.info("drained", source=self._watched.name, events=accepted, seconds=seconds)
        await asyncio.sleep(seconds)

    def _tell_standby(self, taken: CdcError) -> None:
        """Once, not for every look."""
        self._status.attached = True
        if not self._stands_by:
            log.info("standing by", source=self._watched.name, reason=taken.message)
        self._stands_by = True
        self._hooks.on_change()

    async def _until_free(self) -> None:
        """Until nobody reads from the slot; what else may be wrong, the next attempt finds out."""
        try:
            async with await self._databases.to_watched() as conn:
                await asyncio.sleep(_SHORTEST_PAUSE)
                while await server.slot_is_read(conn, self._watched.slot):  # noqa: ASYNC110 - the server tells nobody
                    await asyncio.sleep(LOOK)
        except (*ConnectionTrouble, CdcError):
            await asyncio.sleep(_SHORTEST_PAUSE)


async def until_opened(watched: Watched, databases: Databases) -> None:
    """For a service that never listens: wait until the source was opened by one that does.

    Raises:
        CheckpointMismatch, ServerNotReady: it was opened elsewhere. One whose slot is lost is waited for: who listens
            decides what becomes of it.
    """
    told = False
    while True:
        try:
            async with await databases.to_state() as state, await databases.to_watched() as source:
                while not await belongs(watched, state, source):
                    if not told:
                        log.info("waiting for a listener to open the source", source=watched.name)
                    told = True
                    await asyncio.sleep(LOOK)
                return
        except ConnectionTrouble as error:
            reason = str(error).strip()
        except CdcError as error:
            if not (error.transient or isinstance(error, SlotLost)):
                raise
            reason = error.message
        log.warning("waiting for the database", reason=reason, seconds=LOOK)
        await asyncio.sleep(LOOK)
