"""What follows when an embedding is filled: its index is made, and it takes the place of the one that it replaces."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress

import structlog

from cdc.embedding import indexing
from cdc.errors import CdcError
from cdc.service.databases import Databases
from cdc.service.parts import cancel
from cdc.store import backfills, chunks, embeddings, indexes, lives
from cdc.store.backfills import Declared
from cdc.store.connect import Connection, connect
from cdc.store.embeddings import Declaration, Layout, said
from cdc.store.failures import ConnectionTrouble, StatementFailed
from cdc.store.lives import Life
from cdc.store.vectors import Key

log = structlog.get_logger(__name__)

LOOK = 2.0
"""Seconds between two looks at what is being filled. A row that has no vector at both is not just on its way."""

_TAKEN = 5.0
_SELDOM = 60.0
_LONG = 600.0
_LACKING = 1_000
_COST = 20
"""How many times as long as a look took, at least, it is until the next."""

_TELL_EVERY = 10.0
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
        self._lacking: dict[int, frozenset[Key]] = {}
        self._filled: set[int] = set()

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
                with suppress(TimeoutError):
                    async with asyncio.timeout(pause):
                        await self._wake.wait()
                self._wake.clear()
                try:
                    pause = await self._look()
                except (StatementFailed, CdcError) as error:
                    log.warning("indexing interrupted", source=self._source, reason=str(error).strip())
                    pause = _SELDOM

    async def _look(self) -> float | None:
        """Do what there is to do; seconds until the next look, None when nothing is left."""
        setting = self._databases.setting
        async with await connect(self._databases.watched, autocommit=True, setting=setting) as conn:
            now = await lives.lives(conn)
            open_ = [each for each in await embeddings.layouts(conn) if _is_open(each.declaration, now)]
            if not open_:
                return None
            if not await indexes.take_turns(conn):
                return _TAKEN
            async with await self._databases.to_state() as state:
                filling = await backfills.of_declared(state, self._source)
            pauses = [await self._go_on(conn, each, now[each.declaration.id], filling) for each in open_]
        return min((pause for pause in pauses if pause is not None), default=None)

    async def _go_on(
        self, conn: Connection, layout: Layout, life: Life, filling: Mapping[int, Declared]
    ) -> float | None:
        """Take one declaration as far as it can be; seconds until it may go on."""
        id_, wanted = layout.declaration.id, _wants_index(layout.declaration, life)
        pause = await self._until_filled(conn, layout, filling.get(id_))
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

    async def _until_filled(self, conn: Connection, layout: Layout, backfill: Declared | None) -> float:
        """Seconds to wait before it is looked at again; 0: every row that should have its vector has it."""
        id_, clock = layout.declaration.id, asyncio.get_running_loop().time
        if backfill is None or backfill.status != "done":
            self._filled.discard(id_)
            return LOOK if backfill and backfill.status in ("requested", "running") else _SELDOM
        if id_ in self._filled:
            return 0.0
        began = clock()
        before, now = self._lacking.get(id_), await indexes.lacking(conn, layout, _LACKING)
        self._lacking[id_] = now
        if now and (before is None or now & before or len(now) == _LACKING):
            return min(max(LOOK, (clock() - began) * _COST), _SELDOM)
        self._filled.add(id_)
        return 0.0

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
            await indexes.drop(conn, layout)
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


def _is_open(declaration: Declaration, lives: Mapping[int, Life]) -> bool:
    """Whether there is something left to do for a declaration that can be served."""
    life = lives.get(declaration.id)
    if life is None or declaration.prepared_at is None or declaration.problem:
        return False
    return life.state == "filling" or _wants_index(declaration, life)


def _wants_index(declaration: Declaration, life: Life) -> bool:
    return declaration.index_type == "hnsw" and life.index_state != "ready" and life.state != "retired"
