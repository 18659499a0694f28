"""A listener with a reader beside it, as the service has them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from cdc.events.accept import Door
from cdc.listener.backfill import Reader
from cdc.listener.catalog import Catalog
from cdc.listener.listener import Listener
from cdc.listener.merging import Merging
from cdc.store import backfills, chunks
from cdc.store.backfills import Backfill
from cdc.store.connect import connect
from tests.listener.listening import Listening, Stored
from tests.waiting import eventually

SOURCE = "default"


@asynccontextmanager
async def backfilling(database: Listening) -> AsyncIterator[Reader]:
    """Listen, and read whatever is asked for."""
    state = await database.connect(database.url)
    door = Door(state)
    await door.refresh(frozenset())
    merging, streaming = Merging(), asyncio.Event()

    async def follow() -> None:
        await door.refresh()

    listener = Listener(
        database.watched,
        await database.attach(),
        door,
        Catalog(lambda: connect(database.url, autocommit=True)),
        follow=follow,
        on_runs=lambda: None,
        on_listening=streaming.set,
        merging=merging,
    )
    reader = Reader(
        database.watched,
        merging,
        to_state=lambda: connect(database.url, autocommit=True),
        to_watched=lambda: connect(database.url, autocommit=True),
        is_registered=lambda id_: id_ in door.registry.functions,
    )
    life = asyncio.create_task(listener.run())
    reading = asyncio.create_task(reader.read_forever())
    try:
        await eventually(lambda: streaming.is_set() or life.done())
        yield reader
    finally:
        reading.cancel()
        await asyncio.wait({reading})
        listener.stop()
        async with asyncio.timeout(60):
            await life
        await state.close()


async def ask(database: Listening, table: str = "t", *, rate: int | None = None, schema: str = "public") -> int:
    """Ask for a backfill; its id."""
    assert await backfills.request(database.connection, SOURCE, (schema, table), rate=rate, expected=None)
    (newest, *_) = await backfills.latest(database.connection, SOURCE, 1)
    return newest.id


async def present(database: Listening, id_: int) -> Backfill:
    return await backfills.load(database.connection, id_)


async def over(database: Listening, id_: int, *, within: float = 60.0) -> Backfill:
    """The backfill, once it is over."""

    async def is_over() -> bool:
        return (await present(database, id_)).is_over

    await eventually(is_over, within=within, what=f"backfill {id_} is over")
    return await present(database, id_)


async def backfill(database: Listening, table: str = "t", *, schema: str = "public") -> Backfill:
    """Ask for one and read it to its end."""
    id_ = await ask(database, table, schema=schema)
    async with backfilling(database):
        return await over(database, id_)


async def backfilled(database: Listening) -> list[Stored]:
    """The events of existing rows."""
    return [event for event in await database.events() if event.name.endswith(".backfilled")]


def reading_then(run: Callable[..., Awaitable[None]], *statements: str, times: int = 1) -> Callable[..., Any]:
    """A `chunks.read` after which, the first times, these statements are run before its place is marked."""
    read, left = chunks.read, times

    async def read_and_run(*arguments: Any, **options: Any) -> chunks.Chunk:
        nonlocal left
        chunk = await read(*arguments, **options)
        if left > 0:
            left -= 1
            await run(*statements)
        return chunk

    return read_and_run
