"""What an embedding is told on the command line and in the environment arrives, and is kept to."""

from __future__ import annotations

from typing import Any

from tests.acceptance.service import Settings, cdc, running
from tests.acceptance.state import is_backfilled
from tests.openai_server import OpenAIServer
from tests.servers import Connect, Connection
from tests.waiting import eventually

DOCS = "create table docs (id bigint primary key, title text, data jsonb, n int)"
MODEL = "openai/text-embedding-3-small"


async def declared(conn: Connection) -> tuple[Any, ...]:
    query = (
        "select columns, template, expression, filter, target_kind, target_table, target_column, chunk_tokens,"
        " chunk_overlap, model, dimensions, vector_type, metric, index_type, fk, problem from cdc.embeddings"
    )
    (row,) = await (await conn.execute(query.encode())).fetchall()
    return row


async def test_all_options_on_the_command_line(connect: Connect, database_url: str) -> None:
    conn = await connect(database_url)
    await conn.execute(DOCS)
    async with OpenAIServer() as provider:
        settings: Settings = {"DATABASE_URL": database_url, "OPENAI_BASE_URL": provider.url, "OPENAI_API_KEY": "k"}
        told = await cdc(
            *("embed", "docs", "--template", "{title}\\n{data.by}", "--filter", "n > 0", "--chunk-tokens", "20"),
            *("--chunk-overlap", "5", "--into", "docs_parts", "--model", MODEL, "--dimensions", "8"),
            *("--vector-type", "halfvec", "--metric", "l2", "--index", "none", "--fk"),
            **settings,
        )
        assert told.code == 0, told.err
        assert " ".join(told.out.split()) == (
            f"public.docs is embedded into public.docs_parts by {MODEL}@8 (8 dimensions in half precision)."
        )
        assert await declared(conn) == (
            *(["title", "data.by"], "{title}\n{data.by}", None, "n > 0", "chunks", "docs_parts", "embedding", 20, 5),
            *(f"{MODEL}@8", 8, "halfvec", "l2", "none", True, None),
        )
        again = await cdc("embed", "docs", "--expression", "title", "--into", "docs_parts", **settings)
        assert again.code != 0
        assert "already filled" in again.err


async def test_what_an_index_cannot_take_is_kept_in_half_precision(connect: Connect, database_url: str) -> None:
    conn = await connect(database_url)
    await conn.execute(DOCS)
    settings: Settings = {"DATABASE_URL": database_url, "OPENAI_API_KEY": "k"}
    told = await cdc("embed", "docs", "--columns", "data.by", "--model", "openai/text-embedding-3-large", **settings)
    assert "(3072 dimensions in half precision)." in told.out
    assert "An index takes vectors of that length in half precision only" in " ".join(told.out.split())


async def test_all_options_in_the_environment(connect: Connect, database_url: str) -> None:
    conn = await connect(database_url)
    await conn.execute(DOCS)
    wish = f"docs->vec with (expression = 'upper(title)', filter = 'n > 0', model = '{MODEL}', dimensions = 8)"
    async with OpenAIServer() as provider:
        settings: Settings = {"DATABASE_URL": database_url, "OPENAI_BASE_URL": provider.url, "OPENAI_API_KEY": "k"}
        async with running(CDC_EMBED=wish, **settings):
            await is_backfilled(conn)  # else the row may come with the first ones, too, and its text be asked for twice
            await conn.execute("insert into docs (id, title, n) values (1, 'a', 1), (2, 'b', 0)")

            async def only_the_first() -> bool:
                rows = await (await conn.execute("select id, vector_dims(vec) from docs order by id")).fetchall()
                return rows == [(1, 8), (2, None)]

            await eventually(only_the_first)
            await conn.execute("update docs set n = 1 - n")

            async def only_the_second() -> bool:
                rows = await (await conn.execute("select id, vector_dims(vec) from docs order by id")).fetchall()
                return rows == [(1, None), (2, 8)]

            await eventually(only_the_second)
        assert provider.seen == ["A", "B"]


async def test_a_column_that_is_left_out_is_in_no_expression(connect: Connect, database_url: str) -> None:
    conn = await connect(database_url)
    await conn.execute(DOCS)
    settings: Settings = {"DATABASE_URL": database_url, "OPENAI_API_KEY": "k", "CDC_EXCLUDE": "docs(data)"}
    for name, value in (("--expression", "title || data"), ("--template", "{title} {data.by}")):
        told = await cdc("embed", "docs", name, value, **settings)
        assert told.code != 0
        assert "CDC_EXCLUDE leaves out data of public.docs, which the embedding needs." in " ".join(told.err.split())
        await cdc("unembed", "docs", **settings)
    told = await cdc("embed", "docs", "--columns", "title", "--filter", "data is null", **settings)
    assert "CDC_EXCLUDE leaves out data of public.docs" in " ".join(told.err.split())
