"""Backfills as the command line handles them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from cdc.authoring.triggers import BACKFILLED, event_name
from cdc.config import Settings
from cdc.errors import ConfigurationError
from cdc.events.match import Registry
from cdc.service.databases import Databases
from cdc.service.named import Named
from cdc.store import backfills, chunks, functions, json, publications
from cdc.store.backfills import Backfill, Table
from cdc.store.connect import Connection

_LISTED = 20


class Backfills:
    """Those of one source, over a connection to each database."""

    def __init__(self, settings: Settings, source: str, state: Connection, watched: Connection) -> None:
        self._publication = settings.publication
        self._source = source
        self._state = state
        self._watched = watched

    async def request(self, table: Table, rate: int | None) -> Backfill:
        """Ask for one, and wake the service; the one under way if there is one already.

        Raises:
            ConfigurationError: the table cannot be read.
        """
        await chunks.layout(self._watched, self._publication, table)
        expected = await chunks.estimate(self._watched, table)
        await backfills.request(self._state, self._source, table, rate=rate, expected=expected)
        await publications.announce(self._watched)
        found = [each for each in await backfills.latest(self._state, self._source, _LISTED) if each.table == table]
        return next((each for each in found if each.only_function is None), found[0])

    async def present(self, backfill: Backfill) -> Backfill:
        """As it is now."""
        return await backfills.load(self._state, backfill.id)

    async def has_readers(self, table: Table) -> bool:
        """Whether a function is started by the backfilled rows of a table."""
        registry = Registry.of(*await functions.registered(self._state), frozenset())
        return bool(registry.started_by(event_name(*table, BACKFILLED)))

    async def cancel(self, table: Table) -> int:
        """End those of a table; returns how many there were."""
        return await backfills.cancel(self._state, self._source, table)

    async def latest(self) -> list[Backfill]:
        """The latest, newest first."""
        return await backfills.latest(self._state, self._source, _LISTED)


@asynccontextmanager
async def opened(settings: Settings, named: Named) -> AsyncIterator[Backfills]:
    """Connections to both databases, the state's brought up to date.

    Raises:
        DatabaseUnreachable, DatabaseRefused, MigrationError: they cannot be had.
    """
    json.register()
    databases = Databases.of(settings, settings.watched_url).watching(named).through_pooler()
    await databases.migrate_state()
    async with await databases.to_state() as state, await databases.to_watched() as watched:
        yield Backfills(settings, named.name, state, watched)


def refused(table: Table) -> ConfigurationError:
    """There is nothing to cancel."""
    return ConfigurationError(f"No backfill of {'.'.join(table)} is under way.", hint="See 'cdc backfill --list'.")
