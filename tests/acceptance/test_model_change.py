"""Another model for an embedding: filled beside the old one, then read in its place; no search finds less meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx
import orjson
import psycopg
import pytest

from tests.acceptance.service import Settings, cdc, running
from tests.openai_server import OpenAIServer
from tests.servers import Connect, Connection
from tests.waiting import eventually

LARGE = "openai/text-embedding-3-large"
ROWS = 300


@pytest.fixture
async def conn(connect: Connect, database_url: str) -> Connection:
    conn = await connect(database_url)
    await conn.execute("create table docs (id bigint primary key, title text)")
    await conn.execute("insert into docs select n, 'title ' || n from generate_series(1, %s) n", [ROWS])
    return conn


@pytest.fixture
async def provider() -> AsyncIterator[OpenAIServer]:
    async with OpenAIServer() as server:
        yield server


@pytest.fixture
def settings(database_url: str, provider: OpenAIServer) -> Settings:
    return {"DATABASE_URL": database_url, "OPENAI_BASE_URL": provider.url, "OPENAI_API_KEY": "k"}


async def all_of(conn: Connection, query: str) -> list[tuple[Any, ...]]:
    return await (await conn.execute(query.encode())).fetchall()


async def is_filled(conn: Connection, target: str) -> None:
    async def so() -> bool:
        try:
            return await all_of(conn, f"select count(*) from {target}") == [(ROWS,)]
        except (psycopg.errors.UndefinedTable, psycopg.errors.UndefinedColumn):
            return False

    await eventually(so, within=60, what=f"{target} is filled")


async def standing(settings: Settings) -> dict[str, dict[str, Any]]:
    """What `cdc embed status` says of each target."""
    done = await cdc("embed", "status", "--json", **settings)
    assert done.code == 0, done.err
    return {each["target"]: each for each in orjson.loads(done.out)}


LIVE = "select target_table from cdc.embeddings where live_at is not null"


async def is_live(conn: Connection, target: str) -> None:
    async def so() -> bool:
        return await all_of(conn, LIVE) == [(target,)]

    await eventually(so, within=60, what=f"{target} is live")


async def test_searches_find_everything_while_the_model_is_changed(conn: Connection, settings: Settings) -> None:
    switched = asyncio.Event()

    async def search_on(url: str) -> None:
        """Search over HTTP until a while after the switch; every answer is complete, and nearest first."""
        after = 0
        async with httpx.AsyncClient(base_url=url, trust_env=False, timeout=30) as client:
            while after < 5:
                after += switched.is_set()
                answer = await client.post("/v1/search", json={"table": "docs", "query": "title 7", "limit": 20})
                assert answer.status_code == 200, answer.text
                hits = answer.json()["data"]
                assert len(hits) == 20
                distances = [hit["distance"] for hit in hits]
                assert distances == sorted(distances)
                assert distances[0] == pytest.approx(0, abs=1e-5)

    async with running(**settings) as service:
        await conn.execute("select cdc.embed('docs', array['title'])")
        await is_filled(conn, "docs_embeddings")
        searching = asyncio.create_task(search_on(service.url))
        done = await cdc("embed", "change", "docs", "--model", LARGE, "--dimensions", "256", **settings)
        assert done.code == 0, done.err
        assert "public.docs_embeddings_2 is filled by" in done.out
        await is_live(conn, "docs_embeddings_2")
        switched.set()
        await searching
        assert await all_of(conn, "select count(*) from docs_embeddings_2") == [(ROWS,)]
        told = await standing(settings)
        assert {target: each["state"] for target, each in told.items()} == {
            "public.docs_embeddings": "retired",
            "public.docs_embeddings_2": "live",
        }

        await conn.execute("insert into docs values (0, 'followed by both')")

        async def both_have_it() -> bool:
            query = """
                select (select count(*) from docs_embeddings where id = 0), count(*)
                  from docs_embeddings_2 where id = 0
            """
            return await all_of(conn, query) == [(1, 1)]

        await eventually(both_have_it, within=60)

        refused = await cdc("embed", "drop", "docs", "--into", "docs_embeddings_2", "--yes", **settings)
        assert refused.code == 78
        assert "Searches of public.docs read public.docs_embeddings_2" in refused.err
        dropped = await cdc("embed", "drop", "docs", "--into", "docs_embeddings", "--yes", **settings)
        assert dropped.code == 0, dropped.err
        assert await all_of(conn, "select to_regclass('docs_embeddings')::text") == [(None,)]
        assert (await standing(settings)).keys() == {"public.docs_embeddings_2"}
        answer = (await service.get("/v1/embeddings?table=docs")).json()["data"]
        assert [(each["source"], each["state"], each["counts"]["embedded"]) for each in answer] == [
            ("default", "live", ROWS + 1)
        ]


async def test_what_cannot_be_filled_leaves_the_old_one_in_its_place(
    conn: Connection, settings: Settings, provider: OpenAIServer
) -> None:
    async with running(**settings) as service:
        await conn.execute("select cdc.embed('docs', array['title'])")
        await is_filled(conn, "docs_embeddings")
        provider.fail_next(10_000, status=401, message="Incorrect API key provided.", code="invalid_api_key")
        done = await cdc("embed", "change", "docs", "--model", LARGE, "--dimensions", "256", **settings)
        assert done.code == 0, done.err

        async def is_being_filled() -> bool:
            told = (await standing(settings))["public.docs_embeddings_2"]
            return told["backfill"] is not None and told["backfill"]["status"] == "done"

        await eventually(is_being_filled, within=60)
        told = (await standing(settings))["public.docs_embeddings_2"]
        assert (told["state"], told["counts"]["pending"]) == ("filling", ROWS)
        shown = await cdc("embed", "status", "docs", **settings)
        assert "public.docs_embeddings_2  filling" in shown.out
        assert f"{ROWS} pending" in shown.out
        assert await all_of(conn, LIVE) == [("docs_embeddings",)]
        assert not service.logged("embedding switched")
        given_up = await cdc("embed", "drop", "docs", "--into", "docs_embeddings_2", "--yes", **settings)
        assert given_up.code == 0, given_up.err


async def test_a_column_takes_the_place_of_a_column(conn: Connection, settings: Settings) -> None:
    async with running(**settings):
        await conn.execute("select cdc.embed('docs', array['title'], target => 'embedding')")
        await is_filled(conn, "docs where embedding is not null")
        model = f"model => '{LARGE}', dimensions => 256"
        await conn.execute(f"select cdc.embed('docs', {model}, replaces => 'embedding')".encode())

        async def is_switched() -> bool:
            query = "select target_column from cdc.embeddings where live_at is not null"
            return await all_of(conn, query) == [("embedding_2",)]

        await eventually(is_switched, within=60)
        await is_filled(conn, "docs where vector_dims(embedding_2) = 256")
        dropped = await cdc("embed", "drop", "docs", "--into", "embedding", "--yes", **settings)
        assert dropped.code == 0, dropped.err
        columns = "select column_name::text from information_schema.columns where table_name = 'docs'"
        assert {name for (name,) in await all_of(conn, columns)} == {"id", "title", "embedding_2"}


async def test_there_must_be_something_to_change(conn: Connection, settings: Settings) -> None:
    done = await cdc("embed", "change", "docs", "--model", LARGE, "--dimensions", "256", **settings)
    assert done.code == 78
    assert "docs has no embedding" in done.err
    done = await cdc("embed", "change", "docs", "--model", "nobody/nothing", **settings)
    assert done.code == 78
