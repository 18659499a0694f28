"""What the checks look at: opened and read once, and never changed."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from cdc.config import Settings
from cdc.errors import CdcError
from cdc.events.match import Registry, Table
from cdc.service.databases import Databases
from cdc.service.named import Named
from cdc.service.published import selection
from cdc.store import embeddings, examining, functions, hosts, migrate, server
from cdc.store.connect import Connection, connect
from cdc.store.embeddings import Declaration
from cdc.store.examining import Places
from cdc.store.failures import StatementFailed
from cdc.store.hosts import Host
from cdc.wal import slot as replication
from cdc.wal.slot import Identity


@dataclass(frozen=True, slots=True)
class Subject:
    """The watched database and the one of the state, connected. `functions` are the definitions found in files.

    `identity` is what a replication connection learnt, or why there was none.
    """

    settings: Settings
    named: Named
    databases: Databases
    watched: Connection
    state: Connection
    host: Host
    facts: server.Facts
    places: Places
    identity: Identity | CdcError
    functions: list[dict[str, Any]] = field(default_factory=list)

    async def has_state(self) -> bool:
        """Whether the state can be read."""
        return await _is_made(self.state, "state")

    async def is_set_up(self) -> bool:
        """Whether nothing has to be made any more."""
        return await self.has_state() and await _is_made(self.watched, "source")

    async def declarations(self) -> list[Declaration]:
        """What is declared to be embedded; nothing where the service never ran."""
        if not await _is_made(self.watched, "source"):
            return []
        return [layout.declaration for layout in await embeddings.layouts(self.watched)]

    async def asked_for(self) -> frozenset[Table]:
        """The tables that functions, registered or in files, and embeddings name."""
        registered: list[dict[str, Any]] = []
        if await self.has_state():
            _, registered = await functions.registered(self.state)
        definitions = {definition["id"]: definition for definition in (*registered, *self.functions)}
        embedded = frozenset((each.table_schema, each.table_name) for each in await self.declarations())
        return Registry.of(0, definitions.values(), embedded).tables

    async def wanted(self) -> frozenset[Table]:
        """Those and the ones that CDC_TABLES names, but for what CDC_EXCLUDE leaves out."""
        selected = selection(self.settings)
        return frozenset(table for table in await self.asked_for() | selected.named if not selected.excludes([table]))


@asynccontextmanager
async def connected(settings: Settings, named: Named, functions: list[dict[str, Any]]) -> AsyncIterator[Subject]:
    """Connect once to each, without waiting for a server that is not there.

    Raises:
        DatabaseUnreachable, DatabaseRefused, ConfigurationError: no connection could be made.
    """
    databases = Databases.of(settings, settings.watched_url, watches=named.is_home).watching(named)
    async with AsyncExitStack() as stack:
        watched = await connect(
            databases.watched,
            autocommit=True,
            prepared=False,
            setting=databases.setting,
            answers_within=databases.answers_within,
        )
        await stack.enter_async_context(watched)
        state = watched
        if databases.apart:
            state = await databases.through_pooler().to_state()
            await stack.enter_async_context(state)
        yield Subject(
            settings,
            named,
            databases,
            watched,
            state,
            await hosts.recognise(watched, databases.watched),
            await server.facts(watched),
            await examining.places(watched),  # before we take one ourselves
            await _identity(databases.watched),
            functions,
        )


async def _identity(url: str) -> Identity | CdcError:
    try:
        return await replication.identify(url)
    except CdcError as error:
        return error


async def _is_made(conn: Connection, kind: migrate.Kind) -> bool:
    """Whether the schema can be read as this version knows it."""
    try:
        return not await migrate.missing(conn, kind)
    except (CdcError, StatementFailed):
        return False  # a check of its own tells
