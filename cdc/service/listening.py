"""The listener of this service: it listens, or stands by until the slot is free."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

import structlog

from cdc.errors import CdcError, ListenerFenced, SlotInUse
from cdc.events.accept import Door
from cdc.listener.catalog import Catalog
from cdc.listener.listener import Listener
from cdc.listener.merging import Merging
from cdc.listener.source import Watched, attach, belongs
from cdc.service.backfilling import Backfilling
from cdc.service.databases import Databases
from cdc.service.following import Following
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
    status.
    """

    on_attached: Callable[[], None]
    on_runs: Callable[[], None]
    on_change: Callable[[], None]


class Listening:
    """Listens for ever, one listener after the other."""

    def __init__(
        self, watched: Watched, databases: Databases, following: Following, status: Status, hooks: Hooks
    ) -> None:
        self._watched = watched
        self._databases = databases
        self._following = following
        self._backfilling = Backfilling(watched, databases)
        self._status = status
        self._hooks = hooks
        self._listener: Listener | None = None
        self._door: Door | None = None
        self._stands_by = False

    async def listen_forever(self) -> None:
        """Listen, and connect again whenever the stream is lost. While another service has the slot, stand by.

        Raises:
            CdcError: one that trying again does not mend.
        """
        pause = _SHORTEST_PAUSE
        while True:
            began = asyncio.get_running_loop().time()
            try:
                await self._listen()
            except (SlotInUse, ListenerFenced) as taken:
                self._tell_standby(taken)
                await self._until_free()
                continue
            except CdcError as error:
                if not error.transient:
                    raise
                reason = str(error)
            except ConnectionTrouble as error:
                reason = str(error).strip()
            else:
                return
            self._status.attached = self._stands_by = False
            self._status.problem = reason
            if asyncio.get_running_loop().time() - began > _LONGEST_PAUSE:
                pause = _SHORTEST_PAUSE
            log.warning("listener connects again", source=self._watched.name, reason=reason, seconds=pause)
            await asyncio.sleep(pause)
            pause = min(pause * 2, _LONGEST_PAUSE)

    async def stop(self, listening: asyncio.Task[None], within: float = 5.0) -> None:
        """Let the listener end after what it is accepting; cancel it when that takes longer than `within` seconds."""
        if self._listener is not None and self._status.listening:
            self._listener.stop()
            await asyncio.wait({listening}, timeout=within)
        listening.cancel()
        await asyncio.wait({listening})

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
            self._status.received = self._listener.received
            self._status.confirmed = self._listener.checkpoint.end_lsn

    async def _listen(self) -> None:
        async with await self._databases.to_state() as state:
            self._door = door = Door(state)

            async def follow() -> None:
                await self._following.follow(door)
                await self._backfilling.follow(self._following.served, self._following.unserved)

            await follow()
            async with await self._databases.to_watched() as source:
                checkpoint = await attach(self._watched, state, source)
            self._hooks.on_attached()
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
                merging=merging,
            )
            try:
                async with self._backfilling.beside(merging, door):
                    await self._listener.run()
            finally:
                self._status.listening = False

    def _listens(self) -> None:
        self._stands_by = False
        self._status.listening = True
        self._status.attached = True
        self._hooks.on_change()

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
        CheckpointMismatch, ServerNotReady: it was opened elsewhere.
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
            if not error.transient:
                raise
            reason = error.message
        log.warning("waiting for the database", reason=reason, seconds=LOOK)
        await asyncio.sleep(LOOK)
