"""The real listener on a real server, without a service around it; state and source are one database."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, NamedTuple
from uuid import UUID

from psycopg import AsyncConnection

from cdc.authoring.function import Function
from cdc.events.accept import Door
from cdc.events.ids import to_position
from cdc.listener.catalog import Catalog
from cdc.listener.listener import Listener
from cdc.listener.source import Watched, attach
from cdc.lsn import Lsn, Position, parse
from cdc.store import functions, json, publications, workers
from cdc.store.checkpoints import Checkpoint, current
from cdc.store.selection import Selection
from tests.servers import Connect, Connection
from tests.waiting import eventually

LAST = "last"
"""What `read_everything` inserts: whatever was committed before it has been accepted once its event is there."""


class Stored(NamedTuple):
    """A stored event; `ts` is microseconds since 1970."""

    id: str
    name: str
    ts: int
    data: dict[str, Any]


@dataclass
class Listening:
    """A watched database."""

    url: str
    connection: Connection
    connect: Connect
    watched: Watched
    selection: Selection = publications.NOTHING
    woken: int = 0
    catalog_reads: int = 0
    followed: list[frozenset[tuple[str, str]]] = field(default_factory=list)
    doors: list[Connection] = field(default_factory=list)

    async def run(self, *statements: str) -> None:
        for statement in statements:
            await self.connection.execute(statement.encode())

    async def rows(self, query: str, *values: object) -> Sequence[tuple[Any, ...]]:
        return await (await self.connection.execute(query.encode(), values or None)).fetchall()

    async def one(self, query: str, *values: object) -> Any:
        ((value,),) = await self.rows(query, *values)
        return value

    async def publish(self, *tables: str) -> None:
        """Publish tables of schema public, or schema.table."""
        paths = [("public", table) if "." not in table else tuple(table.split(".", 1)) for table in tables]
        missing = await publications.publish(self.connection, self.watched.publication, paths)  # type: ignore[arg-type]
        assert missing == publications.Unpublished(frozenset(), {})

    async def register(self, *definitions: Function) -> None:
        """Functions of a worker that lives as long as the test."""
        ids = [function.id for function in definitions]
        await workers.register(self.connection, host="here", pid=1, functions=ids, lease=3600)
        await functions.register(self.connection, [function.definition() for function in definitions])

    async def attach(self) -> Checkpoint:
        return await attach(self.watched, self.connection, self.connection)

    async def listener(self, checkpoint: Checkpoint | None = None) -> tuple[Listener, asyncio.Event]:
        """A listener with a door of its own that is not running yet, and what is set once it streams."""
        self.doors.append(await self.connect(self.url))
        door = Door(self.doors[-1])
        streaming = asyncio.Event()

        async def follow() -> None:
            declared = await self.rows("select table_schema, table_name from cdc.embeddings")
            embedded = frozenset((schema, table) for schema, table in declared)
            self.followed.append(embedded)
            registry = await door.refresh(embedded)
            await publications.publish(self.connection, self.watched.publication, registry.tables, self.selection)

        await follow()
        listener = Listener(
            self.watched,
            checkpoint or await self.attach(),
            door,
            Catalog(self.catalog_connection),
            follow=follow,
            on_runs=self._wake,
            on_listening=streaming.set,
        )
        return listener, streaming

    async def catalog_connection(self) -> Connection:
        """A connection of its own, as the service opens one; the caller closes it."""
        self.catalog_reads += 1
        return await AsyncConnection.connect(self.url, autocommit=True)

    async def close_doors(self) -> None:
        """Close the connections of all listeners there were."""
        while self.doors:
            await self.doors.pop().close()

    def _wake(self) -> None:
        self.woken += 1

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[Listener]:
        """A listener that streams; it is stopped in order at the end of the block."""
        listener, streaming = await self.listener()
        life = await until_streaming(listener, streaming)
        try:
            yield listener
        finally:
            listener.stop()
            async with asyncio.timeout(60):
                await life

    async def read_everything(self) -> None:
        """Returns once all that was committed before this call has been accepted."""
        before = await self.one(f"select count(*) from cdc_state.events where name = 'db/{LAST}.inserted'")
        await self.run(f"insert into {LAST} default values")

        async def is_there() -> bool:
            query = f"select count(*) from cdc_state.events where name = 'db/{LAST}.inserted'"
            return bool(await self.one(query) > before)

        await eventually(is_there, within=60, what="everything is read")

    async def events(self, *, also_last: bool = False) -> list[Stored]:
        """All stored events in the order of the WAL."""
        query = (
            "select id::text, name, (extract(epoch from ts) * 1000000)::bigint, data from cdc_state.events order by id"
        )
        stored = [Stored(*row) for row in await self.rows(query)]
        return stored if also_last else [event for event in stored if event.name != f"db/{LAST}.inserted"]

    async def checkpoint(self) -> Checkpoint:
        known = await current(self.connection, self.watched.name)
        assert known is not None
        return known[1]

    async def confirmed(self) -> Lsn:
        return parse(
            await self.one(
                "select confirmed_flush_lsn::text from pg_replication_slots where slot_name = %s", self.watched.slot
            )
        )

    async def cut(self) -> None:
        """End the connection of whoever reads from the slot."""
        query = "select pg_terminate_backend(active_pid) from pg_replication_slots where slot_name = %s"
        await self.rows(query, self.watched.slot)
        await eventually(self.is_free)

    async def is_free(self) -> bool:
        """Nobody reads from the slot."""
        return not await self.one("select active from pg_replication_slots where slot_name = %s", self.watched.slot)


async def open_listening(url: str, connect: Connect, *ddl: str, publish: Sequence[str] = ("t",)) -> Listening:
    """Runs the statements and publishes tables; the first listener makes the slot, named like the database."""
    json.register()
    name = url.rpartition("/")[2].partition("?")[0]
    database = Listening(url, await connect(url), connect, Watched(url, "default", name, name))
    await database.run(f"create table {LAST} (id bigint generated always as identity primary key)", *ddl)
    await publications.ensure(database.connection, name)
    await database.publish(LAST, *publish)
    return database


async def until_streaming(listener: Listener, streaming: asyncio.Event) -> asyncio.Task[None]:
    """Run a listener; returns its life once it streams, or once that has ended."""
    life = asyncio.create_task(listener.run())
    await eventually(lambda: streaming.is_set() or life.done(), what="the listener streams")
    return life


def ids(events: Sequence[Stored]) -> list[int]:
    """The ids of inserted rows."""
    return [event.data["new"]["id"] for event in events]


def position(event: Stored) -> Position:
    """Where an event's change stands, from its id."""
    return to_position(UUID(event.id).bytes)[1]
