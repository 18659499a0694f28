"""Texts that the provider refuses: shown, and tried again when somebody says so."""

from __future__ import annotations

import httpx

from tests.acceptance.service import Settings, cdc, running
from tests.acceptance.state import is_backfilled
from tests.openai_server import REFUSED, OpenAIServer
from tests.servers import Connect, Connection
from tests.waiting import eventually

DOCS = "create table docs (id bigint primary key, title text)"


async def keys(conn: Connection, query: str) -> list[object]:
    return [key for (key,) in await (await conn.execute(query.encode())).fetchall()]


async def put_aside(conn: Connection) -> list[object]:
    return await keys(conn, "select key from cdc.embedding_errors order by key")


async def embedded(conn: Connection) -> list[object]:
    return await keys(conn, "select id from docs_embeddings order by id")


async def test_a_refused_text_is_shown_and_tried_again_on_demand_alone(connect: Connect, database_url: str) -> None:
    conn = await connect(database_url)
    await conn.execute(DOCS)
    async with OpenAIServer() as provider:
        settings: Settings = {"DATABASE_URL": database_url, "OPENAI_BASE_URL": provider.url, "OPENAI_API_KEY": "k"}
        async with running(CDC_EMBED="docs(title)", **settings):
            await is_backfilled(conn)
            await conn.execute("insert into docs values (1, 'a'), (2, %s), (3, %s)", [f"b {REFUSED}", f"c {REFUSED}"])

            async def two_are() -> bool:
                return await put_aside(conn) == ['["2"]', '["3"]']

            await eventually(two_are)
            shown = await cdc("embed", "errors", "docs", **settings)
            assert shown.code == 0
            assert "maximum context length" in shown.out
            assert (await cdc("embed", "errors", "public.other", **settings)).out == "Nothing is put aside.\n"

            provider.relents = True
            done = await cdc("embed", "retry", "docs", "--key", "2", **settings)
            assert (done.code, done.out) == (0, "1 row will be looked at again.\n")

            async def one_is_embedded() -> bool:
                return await embedded(conn) == [1, 2] and await put_aside(conn) == ['["3"]']

            await eventually(one_is_embedded)
            await conn.execute("begin; select cdc.retry_embeddings('docs'); rollback")
            assert await put_aside(conn) == ['["3"]']
            assert await keys(conn, "select cdc.retry_embeddings('docs', target => 'docs_embeddings')") == [1]

            async def all_are_embedded() -> bool:
                return await embedded(conn) == [1, 2, 3] and await put_aside(conn) == []

            await eventually(all_are_embedded)
            names = "select name from cdc_state.events order by name"
            assert await keys(conn, names) == [*["db/docs.inserted"] * 3, *["db/docs.retried"] * 2]
            assert (await cdc("embed", "retry", "docs", **settings)).code == 1


async def test_the_api_has_texts_tried_again(connect: Connect, database_url: str) -> None:
    conn = await connect(database_url)
    await conn.execute(DOCS)
    async with OpenAIServer() as provider:
        settings: Settings = {"DATABASE_URL": database_url, "OPENAI_BASE_URL": provider.url, "OPENAI_API_KEY": "k"}
        async with running(CDC_EMBED="docs(title)", **settings) as service:
            await is_backfilled(conn)
            await conn.execute("insert into docs values (1, %s)", [REFUSED])

            async def is_aside() -> bool:
                return await put_aside(conn) == ['["1"]']

            await eventually(is_aside)
            provider.relents = True
            async with httpx.AsyncClient(base_url=service.url, trust_env=False, timeout=30) as client:
                refusals = {"{}": 400, '{"table": 1}': 400, '{"table": "nothing"}': 400}
                refusals['{"table": "docs", "source": "x"}'] = 404
                for body, status in refusals.items():
                    sent = {"content-type": "application/json"}
                    answer = await client.post("/v1/embeddings/retry", content=body, headers=sent)
                    assert answer.status_code == status, body
                answer = await client.post("/v1/embeddings/retry", json={"table": "docs", "key": "1"})
            assert answer.json() == {"data": {"rows": 1}}

            async def is_embedded() -> bool:
                return await embedded(conn) == [1]

            await eventually(is_embedded)


async def test_a_row_with_a_key_of_two_columns_is_tried_again(connect: Connect, database_url: str) -> None:
    conn = await connect(database_url)
    await conn.execute('create table "Docs" ("A" text, b int, body text, primary key (b, "A"))')
    async with OpenAIServer() as provider:
        settings: Settings = {"DATABASE_URL": database_url, "OPENAI_BASE_URL": provider.url, "OPENAI_API_KEY": "k"}
        async with running(**settings):
            await conn.execute("""select cdc.embed('"Docs"', array['body'])""")
            await is_backfilled(conn)
            await conn.execute("""insert into "Docs" values ('x "y"', 4, %s)""", [REFUSED])

            async def is_aside() -> bool:
                return await put_aside(conn) == ['["4", "x \\"y\\""]']

            await eventually(is_aside)
            provider.relents = True
            (key,) = await put_aside(conn)
            query = """select cdc.retry_embeddings('"Docs"', key => %s)"""
            assert await (await conn.execute(query, [key])).fetchall() == [(1,)]

            async def is_embedded() -> bool:
                return await keys(conn, 'select "A" from "Docs_embeddings"') == ['x "y"']

            await eventually(is_embedded)
