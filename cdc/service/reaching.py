"""The watched databases as handlers reach them: a pool for each, opened when it is first needed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from cdc import telemetry
from cdc.authoring.context import Database
from cdc.embedding.declared import Declared
from cdc.embedding.gather import Embedder
from cdc.engine.sources import AtSource
from cdc.errors import ConfigurationError
from cdc.service.named import DEFAULT, SOURCES, Named
from cdc.store.connect import WATCHED, Connection, pool

_SIZE = 8


class Reaching:
    """Gives each run what is at its source. `state` is the URL of the state; the databases may want to sleep."""

    def __init__(self, sources: Iterable[Named], *, state: str, models: Embedder, sleeps: bool = False) -> None:
        self._sleeps = sleeps
        self._state = state
        self._models = models
        self._reached: dict[Named, AtSource] = {}
        self._pools: dict[Named, _Pool] = {}
        self._by_name: dict[str, Named] = {}
        self._closing: set[asyncio.Task[None]] = set()
        self.change(sources)

    def __call__(self, name: str | None) -> AtSource:
        """What is at the source of this name. One that is not there fails only the steps that use it."""
        named = self._by_name.get(name or DEFAULT)
        if named is None:
            return self._at(_Missing(name), has_state=False, is_known=False)
        at = self._reached.get(named)
        if at is None:
            self._pools[named] = db = _Pool(named, sleeps=self._sleeps)
            at = self._reached[named] = self._at(db, has_state=named.url == self._state)
        return at

    def change(self, sources: Iterable[Named]) -> None:
        """These are the sources now."""
        self._by_name = {named.name: named for named in sources}
        for named in self._pools.keys() - self._by_name.values():
            del self._reached[named]
            closing = asyncio.create_task(self._pools.pop(named).close())
            self._closing.add(closing)
            closing.add_done_callback(self._closing.discard)

    async def close(self) -> None:
        """Close all pools."""
        self.change([])
        await asyncio.gather(*self._closing)

    def _at(self, db: Database, *, has_state: bool, is_known: bool = True) -> AtSource:
        return AtSource(db, Declared(db, self._models.embed, self._models.embed_queries), has_state, is_known)


class _Pool:
    """Implements `cdc.Database`."""

    def __init__(self, named: Named, *, sleeps: bool) -> None:
        self._pool = pool(named.url, size=_SIZE, name=f"ctx.db of {named.name}", sleeps=sleeps)
        self._is_open = False

    def connection(self) -> AbstractAsyncContextManager[Connection]:
        return self._pool.connection() if self._is_open else self._first()

    @asynccontextmanager
    async def _first(self) -> AsyncIterator[Connection]:
        # Its tasks work for all runs, not for the one that comes first.
        await asyncio.create_task(self._pool.open(), context=telemetry.apart())
        self._is_open = True
        async with self._pool.connection() as conn:
            yield conn

    async def close(self) -> None:
        await self._pool.close()


class _Missing:
    """Implements `cdc.Database` where there is none."""

    def __init__(self, name: str | None) -> None:
        self._name = name

    def connection(self) -> AbstractAsyncContextManager[Connection]:
        if self._name is None:
            raise ConfigurationError(
                f"This run is about no row, and there is no {WATCHED} whose database it could have.",
                hint=f"Set {WATCHED}, or send the event from the database that it is about.",
            )
        raise ConfigurationError(
            f"There is no source {self._name!r}, which this run's rows came from.",
            hint=f"Add it to {SOURCES} again, or cancel the run.",
        )
