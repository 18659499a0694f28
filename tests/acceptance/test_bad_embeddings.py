"""Embeddings that cannot be served. In CDC_EMBED they are the service's own configuration and end its start; what was
declared in SQL is told, and the service goes on.
"""

from __future__ import annotations

from collections.abc import AsyncIterator

import psycopg
import pytest

from tests.acceptance.service import refused, running
from tests.servers import Connect, Connection, Servers
from tests.waiting import eventually

DOCUMENTS = "create table documents (id bigint primary key, body text)"
LOCAL = "local-fast/wordllama"  # 256 dimensions


async def has_no_slot(conn: Connection) -> bool:
    cursor = await conn.execute("select from pg_replication_slots where database = current_database()")
    return not await cursor.fetchall()


async def test_a_setting_that_cannot_be_read_is_refused_before_the_database_is_tried() -> None:
    url = "postgresql://somebody:open-sesame@127.0.0.1:1/app"
    done = await refused(
        "run",
        code=78,
        says="CDC_EMBED cannot be read at character 16: expected ')', found the end",
        hint="documents(title, content)",
        DATABASE_URL=url,
        CDC_EMBED="documents(title",
    )
    assert not done.logged


@pytest.mark.parametrize(
    ("embed", "says"),
    [
        ("nothing(body)", 'Relation "nothing" does not exist'),
        ("documents(bodi)", "table documents has no column bodi"),
    ],
)
async def test_a_name_that_is_wrong_ends_the_start(connect: Connect, database_url: str, embed: str, says: str) -> None:
    conn = await connect(database_url)
    await conn.execute(DOCUMENTS)
    done = await refused("run", code=78, says=says, hint="", DATABASE_URL=database_url, CDC_EMBED=embed)
    assert done.told[0].startswith(f"cdc: CDC_EMBED asks for {embed}: ")
    assert await has_no_slot(conn)


async def test_a_column_of_other_dimensions_ends_the_start(connect: Connect, database_url: str) -> None:
    conn = await connect(database_url)
    await conn.execute("create extension vector")
    await conn.execute(DOCUMENTS)
    await conn.execute("alter table documents add embedding vector(3)")
    await refused(
        "run",
        code=78,
        says=f"takes vectors of 3 dimensions, {LOCAL} makes 256",
        hint="Mend that, or take it out of CDC_EMBED",
        DATABASE_URL=database_url,
        CDC_EMBED="documents(body)->embedding",
        CDC_EMBED_MODEL=LOCAL,
    )
    assert await has_no_slot(conn)


@pytest.fixture
async def url_without_pgvector(servers: Servers, connect: Connect) -> AsyncIterator[str]:
    """A database on Postgres 15, as Debian has it."""
    server = await servers.get("15")
    url = await server.create_database()
    conn = await connect(url)
    if await (await conn.execute("select from pg_available_extensions where name = 'vector'")).fetchone():
        pytest.skip("this Postgres 15 has pgvector")
    await conn.execute(DOCUMENTS)
    yield url
    await server.drop_database(url)


async def test_a_server_without_pgvector_ends_the_start(connect: Connect, url_without_pgvector: str) -> None:
    await refused(
        "run",
        code=78,
        says="CDC_EMBED asks for documents(body), which cannot be served: This Postgres server has no pgvector.",
        hint="Mend that, or take it out of CDC_EMBED",
        DATABASE_URL=url_without_pgvector,
        CDC_EMBED="documents(body)",
        CDC_EMBED_MODEL=LOCAL,
    )
    assert await has_no_slot(await connect(url_without_pgvector))


async def test_what_was_declared_in_sql_and_cannot_be_served_is_told_and_stops_nothing(
    connect: Connect, url_without_pgvector: str
) -> None:
    conn = await connect(url_without_pgvector)
    async with running(DATABASE_URL=url_without_pgvector, CDC_EMBED_MODEL=LOCAL) as service:
        await conn.execute("select cdc.embed('documents', array['body'])")
        (told,) = await service.logs("cannot follow")
        assert told["embedding"] == "public.documents"
        assert "no pgvector" in told["reason"]
        assert (await service.get("/readyz")).status_code == 200

        async def recorded() -> bool:
            row = await (await conn.execute("select problem from cdc.embeddings")).fetchone()
            return row is not None and "no pgvector" in row[0]

        await eventually(recorded)


async def test_sql_says_at_once_what_is_wrong_with_a_declaration(connect: Connect, database_url: str) -> None:
    conn = await connect(database_url)
    await conn.execute(DOCUMENTS)
    async with running(DATABASE_URL=database_url) as service:
        with pytest.raises(psycopg.errors.UndefinedTable, match='relation "nothing" does not exist'):
            await conn.execute("select cdc.embed('nothing', array['body'])")
        with pytest.raises(psycopg.errors.UndefinedColumn, match="table documents has no column bodi") as refusal:
            await conn.execute("select cdc.embed('documents', array['bodi'])")
        assert refusal.value.diag.message_hint == "Check the spelling; names are case-sensitive here."
        assert not service.logged("cannot follow")
