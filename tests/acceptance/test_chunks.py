"""Long texts through the running service: split, edited, refused in part, found, and gone with their rows."""

from __future__ import annotations

from tests.acceptance.service import Settings, cdc, running
from tests.openai_server import REFUSED, OpenAIServer
from tests.servers import Connect
from tests.waiting import eventually

CHUNKS = "select cdc.embed('docs', array['body'], chunk_tokens => 30, chunk_overlap => 0)"


def paragraph(about: str) -> str:
    return f"This paragraph is about {about}, of which there is much to say, and about nothing else at all."


async def test_the_chunks_of_rows_old_and_new_are_kept_and_found(connect: Connect, database_url: str) -> None:
    conn = await connect(database_url)
    await conn.execute("create table docs (id bigint primary key, body text)")
    texts = [paragraph(about) for about in ("cats", "dogs", "ships")]
    await conn.execute("insert into docs values (1, %s)", ["\n\n".join(texts)])

    async def chunks() -> list[tuple[object, ...]]:
        query = "select id, ordinal, chunk from docs_chunks where embedding is not null order by id, ordinal"
        return await (await conn.execute(query)).fetchall()

    async def stand(*expected: tuple[int, int, str]) -> None:
        async def they_do() -> bool:
            there = await (await conn.execute("select to_regclass('docs_chunks') is not null")).fetchone()
            return there == (True,) and await chunks() == list(expected)

        await eventually(they_do, within=60, what=f"chunks {expected}")

    async with OpenAIServer() as provider:
        settings: Settings = {"DATABASE_URL": database_url, "OPENAI_BASE_URL": provider.url, "OPENAI_API_KEY": "k"}
        async with running(**settings):
            await conn.execute(CHUNKS)
            await stand(*((1, ordinal, text) for ordinal, text in enumerate(texts)))

            provider.reset()
            bad, good = paragraph(REFUSED), paragraph("trees")
            await conn.execute("insert into docs values (2, %s)", [f"{bad}\n\n{good}"])
            await conn.execute("update docs set body = %s where id = 1", ["\n\n".join([*texts[:2], good])])
            await stand((1, 0, texts[0]), (1, 1, texts[1]), (1, 2, good), (2, 1, good))

            async def one_is_put_aside() -> bool:
                errors = await conn.execute("select key, ordinal from cdc.embedding_errors")
                return await errors.fetchall() == [('["2"]', 0)]

            await eventually(one_is_put_aside)
            assert set(provider.seen) == {bad, good}

            found = await cdc("search", "docs", texts[1], "--limit", "1", **settings)
            assert found.code == 0
            assert texts[1] in found.out

            provider.relents = True
            await conn.execute("select cdc.retry_embeddings('docs')")
            await stand((1, 0, texts[0]), (1, 1, texts[1]), (1, 2, good), (2, 0, bad), (2, 1, good))
            await conn.execute("delete from docs where id = 2; update docs set body = null where id = 1")
            await stand()
