"""Backfills in the service: those of new embeddings are asked for, and all are read beside the listener."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import structlog

from cdc.events.accept import Door
from cdc.listener.backfill import Reader
from cdc.listener.merging import Merging
from cdc.listener.source import Watched
from cdc.service.databases import Databases
from cdc.service.parts import cancel
from cdc.store import backfills, embeddings
from cdc.store.backfills import Table
from cdc.store.connect import Connection

log = structlog.get_logger(__name__)

EMBEDS = "auto-embed"
"""The function that the rows of a newly embedded table are for."""


async def request_again(name: str, state: Connection, source: Connection) -> None:
    """Changes of a source were lost: have the rows of its embeddings read again."""
    declared = [layout.declaration.id for layout in await embeddings.layouts(source)]
    asked = await backfills.request_again(state, name, declared)
    if asked:
        log.warning("embedded tables are read again: changes were lost", source=name, embeddings=asked)


class Backfilling:
    """The backfills of one source."""

    def __init__(self, watched: Watched, databases: Databases) -> None:
        self._watched = watched
        self._databases = databases
        self._requested: set[int] = set()
        self._released: set[int] = set()
        self._reader: Reader | None = None

    async def follow(self, served: Sequence[tuple[int, Table]], unserved: Sequence[int]) -> None:
        """Ask for the backfill of each embedding that is kept since just now, and look for what others asked for.

        Once for each declaration; and again when one that was not kept for a while is kept again.
        """
        new = [(id_, table) for id_, table in served if id_ not in self._requested]
        lost = [id_ for id_ in unserved if id_ not in self._released]
        if new or lost:
            async with await self._databases.to_state() as state:
                await backfills.release(state, self._watched.name, lost)
                asked = await backfills.request_declared(state, self._watched.name, EMBEDS, new)
            self._requested = {id_ for id_, _ in served}
            self._released = {*unserved}
            if asked:
                log.info("existing rows will be embedded", source=self._watched.name, embeddings=asked)
        if self._reader is not None:
            self._reader.wake()

    @asynccontextmanager
    async def beside(self, merging: Merging, door: Door) -> AsyncIterator[None]:
        """Read while the listener of this door streams."""
        self._reader = Reader(
            self._watched,
            merging,
            to_state=self._databases.to_state,
            to_watched=self._databases.to_watched,
            is_registered=lambda function_id: function_id in door.registry.functions,
        )
        reading = asyncio.create_task(self._reader.read_forever(), name="backfill")
        reading.add_done_callback(_tell)
        try:
            yield
        finally:
            self._reader = None
            await cancel(reading)


def _tell(reading: asyncio.Task[None]) -> None:
    """What the reader did not expect stops it, and not the listener."""
    if not reading.cancelled() and (error := reading.exception()):
        log.error("backfills stopped until the next start", exc_info=error)
