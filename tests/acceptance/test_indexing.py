"""The index of vectors: made by the running service once a target is filled, and made again when that was cut short."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from signal import SIGCONT, SIGKILL, SIGSTOP
from typing import Any

import orjson
import pytest

from tests.acceptance.service import Settings, cdc, running
from tests.acceptance.state import drop_slots, workers
from tests.servers import Connect, Connection
from tests.waiting import eventually

ROWS = 5_200


@pytest.fixture
async def conn(connect: Connect, database_url: str) -> Connection:
    conn = await connect(database_url)
    await conn.execute("create table notes (id bigint primary key, body text)")
    return conn


@pytest.fixture
def settings(database_url: str) -> Settings:
    return {"DATABASE_URL": database_url, "CDC_EMBED_MODEL": "local-fast/wordllama"}


async def add(conn: Connection, rows: int) -> None:
    await conn.execute("insert into notes select n, 'note number ' || n from generate_series(1, %s) n", [rows])


async def all_of(conn: Connection, query: str) -> list[tuple[Any, ...]]:
    return await (await conn.execute(query.encode())).fetchall()


async def index_is(conn: Connection, state: str, *, within: float = 90) -> str:
    """Wait until the index is in this state; its reason."""

    async def is_so() -> list[str]:
        found = await all_of(conn, "select index_reason from cdc.embeddings where index_state = '" + state + "'")
        return [reason or "none" for (reason,) in found]

    (reason,) = await eventually(is_so, within=within, what=f"the index is {state}")
    return reason


VALID = """
    select i.relname, x.indisvalid, (select count(*) from notes_embeddings)
      from pg_index x join pg_class i on i.oid = x.indexrelid join pg_am m on m.oid = i.relam
     where x.indrelid = 'notes_embeddings'::regclass and m.amname = 'hnsw'
"""


@asynccontextmanager
async def no_vectors(conn: Connection) -> AsyncIterator[None]:
    """For the length of the block: the worker, of which there is one, stands still."""
    (pid,) = await workers(conn)
    os.kill(pid, SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, SIGCONT)


async def test_an_index_is_made_when_all_rows_there_were_have_their_vectors(
    conn: Connection, settings: Settings
) -> None:
    await add(conn, ROWS)
    async with running(**settings) as service:
        async with no_vectors(conn):
            await conn.execute("select cdc.embed('notes', array['body'])")
            assert await index_is(conn, "waiting") == "not all rows have their vectors yet"
        await index_is(conn, "ready")
        assert await all_of(conn, VALID) == [("cdc_embedding_1_hnsw", True, ROWS)]
        (begun,) = service.logged("index begins")
        assert begun["rows"] >= ROWS
        await service.stop()
    await conn.execute("drop index cdc_embedding_1_hnsw")
    async with running(**settings) as service:
        await service.logs("index done", within=60)
        assert await all_of(conn, VALID) == [("cdc_embedding_1_hnsw", True, ROWS)]


async def test_an_index_that_the_owner_has_made_is_enough(conn: Connection, settings: Settings) -> None:
    await add(conn, ROWS)
    async with running(**settings) as service:

        async def is_made() -> bool:
            return bool(await all_of(conn, "select 1 from cdc.embeddings where prepared_at is not null"))

        async with no_vectors(conn):
            await conn.execute("select cdc.embed('notes', array['body'])")
            await eventually(is_made)
            await conn.execute("create index mine on notes_embeddings using hnsw (embedding public.vector_cosine_ops)")
        await index_is(conn, "ready")
        assert not service.logged("index begins")
        assert await all_of(conn, VALID) == [("mine", True, ROWS)]


async def test_few_vectors_have_no_index_until_there_are_more(conn: Connection, settings: Settings) -> None:
    await add(conn, 10)
    async with running(**settings):
        await conn.execute("select cdc.embed('notes', array['body'])")
        assert await index_is(conn, "waiting")

        async def is_small() -> bool:
            return await all_of(conn, "select starts_with(index_reason, 'fewer than 5,000') from cdc.embeddings") == [
                (True,)
            ]

        await eventually(is_small)
        assert await all_of(conn, VALID) == []


@pytest.fixture
async def held(connect: Connect, database_url: str, conn: Connection) -> AsyncIterator[Connection]:
    """A transaction that whoever makes an index on the target must wait for, after it has begun."""
    other = await connect(database_url)
    await other.execute("begin isolation level repeatable read; select 1 from notes")
    yield other
    await other.execute("rollback")


BUILDER = (
    "select pid from pg_stat_activity where query ilike 'create index concurrently%' and datname = current_database()"
)


@pytest.mark.parametrize("server_goes_on", [True, False])
async def test_an_index_that_was_cut_short_by_a_crash_is_made_whole(
    conn: Connection, settings: Settings, held: Connection, server_goes_on: bool
) -> None:
    await add(conn, ROWS)
    async with running(**settings) as service:
        await conn.execute("select cdc.embed('notes', array['body'])")

        async def is_invalid() -> bool:
            return [valid for _, valid, _ in await all_of(conn, VALID)] == [False]

        async def is_made() -> bool:
            return bool(await all_of(conn, "select 1 from cdc.embeddings where prepared_at is not null"))

        await eventually(is_made)
        await eventually(is_invalid, within=90, what="an index has begun")
        (told,) = orjson.loads((await cdc("embed", "status", "--json", **settings)).out)
        assert told["index"]["state"] == "building"
        assert told["index"]["progress"]["phase"]
        await service.kill()
        assert service.process.returncode == -SIGKILL
    if not server_goes_on:
        await conn.execute(f"select pg_terminate_backend(pid) from ({BUILDER}) builder".encode())

        async def is_gone() -> bool:
            return not await all_of(conn, BUILDER)

        await eventually(is_gone)
    await held.execute("rollback; begin")
    async with running(**settings):
        await index_is(conn, "ready")
        assert await all_of(conn, VALID) == [("cdc_embedding_1_hnsw", True, ROWS)]


async def test_an_index_that_cannot_be_made_is_told_and_harms_nothing(conn: Connection, settings: Settings) -> None:
    await add(conn, ROWS)
    await conn.execute("create index cdc_embedding_1_hnsw on notes (body)")
    async with running(**settings) as service:
        await conn.execute("select cdc.embed('notes', array['body'])")
        reason = 'Relation "cdc_embedding_1_hnsw" already exists.'
        assert await index_is(conn, "failed") == reason
        assert await all_of(conn, VALID) == []
        assert await all_of(conn, "select to_regclass('cdc_embedding_1_hnsw') is not null") == [(True,)]
        (told,) = await service.logs("index failed")
        assert told["reason"] == reason
        done = await cdc("embed", "status", **settings)
        assert "public.notes -> public.notes_embeddings  live" in done.out
        assert f"{ROWS:,}, of which {ROWS:,} embedded, 0 pending" in done.out
        assert f"hnsw, failed: {reason}" in done.out


async def test_an_index_makes_way_where_most_rows_are_to_be_embedded_again(
    conn: Connection, settings: Settings
) -> None:
    await add(conn, ROWS)
    async with running(**settings) as service:
        await conn.execute("select cdc.embed('notes', array['body'])")
        await index_is(conn, "ready")
        await service.stop()
    await drop_slots(conn)
    await conn.execute("insert into notes select n, 'more ' || n from generate_series(10001, 40000) n")
    # No worker yet: one that stood still could do so in a transaction, and the index would not go before its end.
    async with running("--only", "listener", CDC_ON_SLOT_LOSS="recreate", **settings) as service:

        async def has_none() -> bool:
            return await all_of(conn, VALID) == []

        await eventually(has_none, what="the index is gone")
        async with running("--only", "worker", **settings):
            await service.logs("index done", within=180)
        assert await all_of(conn, VALID) == [("cdc_embedding_1_hnsw", True, ROWS + 30_000)]
