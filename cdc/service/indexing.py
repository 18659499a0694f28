"""What follows when an embedding is filled: its index is made, and it takes the place of the one that it replaces."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress

import structlog

from cdc.clock import set_within
from cdc.embedding import indexing
from cdc.errors import CdcError
from cdc.service.databases import Databases
from cdc.service.filled import SELDOM, Filled
from cdc.service.parts import cancel
from cdc.store import backfills, chunks, embeddings, indexes, lives
from cdc.store.backfills import Declared
from cdc.store.connect import Connection, connect
from cdc.store.embeddings import Declaration, Layout, said
from cdc.store.failures import ConnectionTrouble, StatementFailed
from cdc.store.lives import Life

log = structlog.get_logger(__name__)

_TAKEN = 5.0
_LONG = 600.0
_TELL_EVERY = 10.0
_MANY = 10_000
"""Rows. A backfill of more, most of them without a vector, is faster without the index and making it again."""

_SMALL = f"fewer than {indexing.LEAST:,} vectors: to read all of them is as fast, and exact"
_FILLING = "not all rows have their vectors yet"


class Indexing:
    """Of one source. One service at a time does it; nothing is connected where nothing is left to do.

    `memory`: the most that the server may take for an index. Where the listener `rests`, looks are not repeated for
    what only more rows can change.
    """

    def __init__(self, source: str, databases: Databases, *, memory: str, rests: bool) -> None:
        self._source = source
        self._databases = databases
        self._memory = memory
        self._rests = rests
        self._wake = asyncio.Event()
        self._filled = Filled()

    def wake(self) -> None:
        """Something was declared, or may have been."""
        self._wake.set()

    async def go_on_forever(self) -> None:
        """Look whenever there may be something to do; trouble is logged, and it is tried again."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            pause: float | None = 0.0
            while pause is not None:
                await set_within(self._wake, pause)
                self._wake.clear()
                try:
                    pause = await self._look()
                except (StatementFailed, CdcError) as error:
                    log.warning("indexing interrupted", source=self._source, reason=str(error).strip())
                    pause = SELDOM

    async def _look(self) -> float | None:
        """Do what there is to do; seconds until the next look, None when nothing is left."""
        setting = self._databases.setting
        # Without a limit on answers: to make an index takes as long as it takes.
        async with await connect(self._databases.watched, autocommit=True, setting=setting) as conn:
            now = await lives.lives(conn)
            known = [each for each in await embeddings.layouts(conn) if _is_served(each, now)]
            if not any(_is_kept(each.declaration, now) for each in known):
                return None
            if not await indexes.take_turns(conn):
                return _TAKEN
            async with await self._databases.to_state() as state:
                filling = await backfills.of_declared(state, self._source)
            pauses = [
                await self._try(conn, each, now[each.declaration.id], filling.get(each.declaration.id))
                for each in known
                if _is_kept(each.declaration, now)
            ]
        return min((pause for pause in pauses if pause is not None), default=None)

    async def _try(self, conn: Connection, layout: Layout, life: Life, backfill: Declared | None) -> float | None:
        """Take one declaration as far as it can be; seconds until it may go on. Its trouble harms no other."""
        try:
            is_done = life.state == "live" and life.index_state == "ready"
            if is_done and not await self._has_lost_index(conn, layout, backfill):
                return None
            return await self._go_on(conn, layout, life, backfill)
        except ConnectionTrouble:
            raise
        except (StatementFailed, CdcError) as error:
            target, reason = layout.declaration.target, str(error).strip()
            log.warning("indexing interrupted", source=self._source, target=target, reason=reason)
            return SELDOM

    async def _has_lost_index(self, conn: Connection, layout: Layout, backfill: Declared | None) -> bool:
        """Whether there is none any more. That of a target which is to be filled for the most part is dropped."""
        if backfill is not None and not backfill.is_over:
            to = layout.declaration
            rows = await chunks.estimate(conn, (to.table_schema, to.table_name))
            if rows > _MANY and 2 * await indexes.count(conn, layout, rows) < rows:
                await indexing.clear(conn, layout)
        return not await indexing.has_usable(conn, layout)

    async def _go_on(self, conn: Connection, layout: Layout, life: Life, backfill: Declared | None) -> float | None:
        id_, wanted = layout.declaration.id, layout.declaration.index_type == "hnsw"
        pause = await self._filled.until(conn, layout, backfill)
        if pause:
            if wanted:
                await lives.set_index(conn, id_, "waiting", _FILLING)
            return pause
        has_index = not wanted or await self._index(conn, layout, life)
        is_small = not has_index and not await indexing.needed(conn, layout)
        if life.state == "filling" and (has_index or is_small):
            replaced = await lives.switch(conn, id_)
            log.info("embedding switched", source=self._source, target=layout.declaration.target, replaced=replaced)
        return None if has_index or self._rests else _LONG

    async def _index(self, conn: Connection, layout: Layout, life: Life) -> bool:
        """Make the index if it is not there and worth it; whether it is there."""
        declaration = layout.declaration
        if not await indexing.has_usable(conn, layout):
            if not await indexing.needed(conn, layout):
                await lives.set_index(conn, declaration.id, "waiting", _SMALL)
                return False
            reason = await self._made(conn, layout)
            if reason:
                await lives.set_index(conn, declaration.id, "failed", reason)
                if life.index_reason != reason:
                    log.error("index failed", source=self._source, target=declaration.target, reason=reason)
                return False
        await lives.set_index(conn, declaration.id, "ready")
        return True

    async def _made(self, conn: Connection, layout: Layout) -> str | None:
        """Make the index; why it cannot be made, if it cannot."""
        declaration = layout.declaration
        rows = await chunks.estimate(conn, (declaration.target_schema, declaration.target_table))
        await lives.set_index(conn, declaration.id, "building")
        log.info("index begins", source=self._source, target=declaration.target, rows=rows)
        try:
            async with self._telling(declaration):
                await indexing.build(conn, layout, rows=rows, memory=self._memory)
        except ConnectionTrouble:
            raise
        except StatementFailed as error:
            await indexing.clear(conn, layout)
            return said(error)
        log.info("index done", source=self._source, target=declaration.target)
        return None

    @asynccontextmanager
    async def _telling(self, declaration: Declaration) -> AsyncIterator[None]:
        """Log how far it is, over another connection, now and then."""
        telling = asyncio.create_task(self._tell_forever(declaration), name="index progress")
        try:
            yield
        finally:
            await cancel(telling)

    async def _tell_forever(self, declaration: Declaration) -> None:
        place = declaration.target_schema, declaration.target_table
        with suppress(*ConnectionTrouble, CdcError):
            async with await self._databases.to_watched() as conn:
                while True:
                    await asyncio.sleep(_TELL_EVERY)
                    for each in await indexes.progress(conn):
                        if (each.schema, each.table) == place:
                            done = None if each.share is None else round(each.share, 3)
                            log.info("index grows", target=declaration.target, phase=each.phase, done=done)


def _is_served(layout: Layout, lives: Mapping[int, Life]) -> bool:
    to = layout.declaration
    return to.id in lives and to.prepared_at is not None and not to.problem and layout.vector_schema is not None


def _is_kept(declaration: Declaration, lives: Mapping[int, Life]) -> bool:
    """Whether there may be something to do for a declaration."""
    state = lives[declaration.id].state
    return state == "filling" or (state == "live" and declaration.index_type == "hnsw")
