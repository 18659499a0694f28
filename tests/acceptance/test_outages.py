"""A provider of vectors that is away, limits us or refuses the key: runs wait, lose no attempt, and go on."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal

from tests.acceptance.service import Service, Setting, Settings, running
from tests.acceptance.state import is_backfilled
from tests.openai_server import OpenAIServer, RateLimit
from tests.ports import free_port
from tests.servers import Connect, Connection
from tests.waiting import eventually

RETRIES = 20
"""Of auto-embed."""

KEY = "the-right-key"


def settings(url: str, provider: OpenAIServer, key: str = KEY) -> Settings:
    return {"DATABASE_URL": url, "OPENAI_BASE_URL": provider.url, "OPENAI_API_KEY": key, "CDC_EMBED": "docs(title)"}


async def table(conn: Connection) -> None:
    await conn.execute("create table docs (id bigint generated always as identity primary key, title text)")


async def one(conn: Connection, query: str) -> object:
    row = await (await conn.execute(query.encode())).fetchone()
    return row and row[0]


async def insert(conn: Connection, count: int) -> None:
    await conn.execute(
        "insert into docs (title) select 'text ' || clock_timestamp() || i from generate_series(1, %s) i", [count]
    )


async def all_are_embedded(conn: Connection, count: int) -> None:
    """And no run failed, or lost an attempt, on the way."""

    async def embedded() -> bool:
        return await one(conn, "select count(*) from docs_embeddings") == count

    await eventually(embedded, within=60)

    async def completed() -> bool:
        return await one(conn, "select bool_and(status = 'completed') from cdc_state.runs") is True

    await eventually(completed)
    assert await one(conn, "select coalesce(max(failures), 0) from cdc_state.runs") == 0
    assert await one(conn, "select max(attempts) from cdc_state.steps") == 1


@asynccontextmanager
async def embedding(conn: Connection, **environment: Setting) -> AsyncIterator[Service]:
    """A service for which the rows that are written from now on have one event each, and none comes of itself."""
    async with running(**environment) as service:
        await is_backfilled(conn)
        yield service


async def calls_are_written(conn: Connection, provider: OpenAIServer) -> None:
    """Wait for the book of calls, which is written a while after they were answered."""

    async def are() -> bool:
        return await one(conn, "select count(*) from cdc_state.ai_calls") == provider.requests

    await eventually(are, what="every request is in the book")


async def hurry(conn: Connection) -> None:
    """Set the clock forward: whatever waits for a time is due now."""
    await conn.execute("update cdc_state.steps set wake_at = now() where ended_at is null")
    await conn.execute("update cdc_state.runs set due_at = now(), rank = now() where status in ('queued', 'sleeping')")
    await conn.execute("select pg_notify('cdc', 'due')")


async def test_an_outage_costs_no_attempts_and_everything_is_embedded_after_it(
    connect: Connect, database_url: str
) -> None:
    conn = await connect(database_url)
    await table(conn)
    async with OpenAIServer() as provider:
        async with embedding(conn, **settings(database_url, provider)):
            await insert(conn, 1)
            await all_are_embedded(conn, 1)
            provider.fail_next(2 * RETRIES, status=500, headers={"retry-after": "0.01"})
            provider.cut_next()
            await insert(conn, 300)
            await eventually(lambda: provider.requests > RETRIES, within=60)
            await insert(conn, 5)
            await all_are_embedded(conn, 306)
            await calls_are_written(conn, provider)
        assert await one(conn, "select count(*) from cdc_state.ai_calls where error = 'ProviderUnavailable'") == (
            2 * RETRIES + 1
        )


async def test_nobody_listening_is_waited_for(connect: Connect, database_url: str) -> None:
    conn = await connect(database_url)
    await table(conn)
    port = free_port()
    async with OpenAIServer(port=port) as first:
        environment = settings(database_url, first)
    async with embedding(conn, **environment):
        await insert(conn, 10)
        for tries in range(1, 4):

            async def tried(times: int = tries) -> bool:
                await hurry(conn)
                failed = await one(conn, "select count(*) from cdc_state.ai_calls where error is not null")
                return isinstance(failed, int) and failed >= times

            await eventually(tried)
        async with OpenAIServer(port=port):

            async def there() -> bool:
                await hurry(conn)
                return await one(conn, "select count(*) from docs_embeddings") == 10

            await eventually(there, within=60)
            await all_are_embedded(conn, 10)


async def test_a_key_that_is_refused_fails_no_run(connect: Connect, database_url: str) -> None:
    conn = await connect(database_url)
    await table(conn)
    async with OpenAIServer() as provider, embedding(conn, **settings(database_url, provider)):
        await insert(conn, 1)
        await all_are_embedded(conn, 1)
        provider.fail_next(RETRIES + 5, status=401, code="invalid_api_key")
        await insert(conn, 10)

        async def tried_often() -> bool:
            await hurry(conn)
            return provider.requests > RETRIES + 6

        await eventually(tried_often, within=60)
        await all_are_embedded(conn, 11)


async def test_a_pinned_model_whose_key_is_gone_fails_no_run(connect: Connect, database_url: str) -> None:
    conn = await connect(database_url)
    await table(conn)
    async with OpenAIServer() as provider:
        async with embedding(conn, **settings(database_url, provider)):
            await insert(conn, 1)
            await all_are_embedded(conn, 1)
        without: Settings = {"DATABASE_URL": database_url}
        async with running(**without) as service:
            await insert(conn, 10)
            await service.logs("step is tried again")
            claims = await one(conn, "select max(claims) from cdc_state.runs")
            assert isinstance(claims, int)

            async def tried_often() -> bool:
                await hurry(conn)
                now = await one(conn, "select max(claims) from cdc_state.runs")
                return isinstance(now, int) and now > claims + 2

            await eventually(tried_often, within=60)
            assert await one(conn, "select count(*) from cdc_state.runs where status = 'failed'") == 0
        async with running(**settings(database_url, provider)):

            async def there() -> bool:
                await hurry(conn)
                return await one(conn, "select count(*) from docs_embeddings") == 11

            await eventually(there, within=60)
            await all_are_embedded(conn, 11)


async def test_a_strict_limit_slows_the_service_and_costs_nothing_else(connect: Connect, database_url: str) -> None:
    conn = await connect(database_url)
    await table(conn)
    async with OpenAIServer(limit=RateLimit(requests=5, burst=2)) as provider:
        async with embedding(conn, **settings(database_url, provider)):
            await insert(conn, 3000)
            await all_are_embedded(conn, 3000)
            await calls_are_written(conn, provider)
        assert len(set(provider.seen)) == 3000
        assert provider.limited <= 10
        refused = "select count(*) from cdc_state.ai_calls where error = 'ProviderUnavailable'"
        assert await one(conn, refused) == provider.limited


async def test_what_vectors_cost_is_written_down(connect: Connect, database_url: str) -> None:
    conn = await connect(database_url)
    await table(conn)
    async with OpenAIServer() as provider, embedding(conn, **settings(database_url, provider)):
        await conn.execute("insert into docs (title) values (repeat('x', 399)), (repeat('x', 399)), ('[refuse]')")
        await all_are_embedded(conn, 1 + 1)
        await calls_are_written(conn, provider)
    calls = await conn.execute(
        "select distinct operation, provider, model, response_model, total_tokens / inputs, cost / inputs, latency > 0"
        " from cdc_state.ai_calls where error is null"
    )
    assert await calls.fetchall() == [
        ("embeddings", "openai", "text-embedding-3-small", "text-embedding-3-small", 100, Decimal("0.000002"), True)
    ]
    assert await one(conn, "select count(*) from cdc_state.ai_calls where error = 'InputRefused'") != 0


async def test_local_models_cost_nothing(connect: Connect, database_url: str) -> None:
    conn = await connect(database_url)
    await table(conn)
    environment: Settings = {
        "DATABASE_URL": database_url,
        "CDC_EMBED": "docs(title)",
        "CDC_EMBED_MODEL": "local-fast/wordllama",
    }
    async with embedding(conn, **environment):
        await insert(conn, 3)
        await all_are_embedded(conn, 3)

        async def are_written() -> bool:
            return await one(conn, "select count(*) from cdc_state.ai_calls") != 0

        await eventually(are_written, what="a call is in the book")
    calls = await conn.execute("select distinct provider, model, cost from cdc_state.ai_calls")
    assert await calls.fetchall() == [("local-fast", "wordllama", 0)]


async def test_rows_of_one_text_are_asked_for_once_a_run(connect: Connect, database_url: str) -> None:
    conn = await connect(database_url)
    await table(conn)
    async with OpenAIServer() as provider:
        async with embedding(conn, **settings(database_url, provider)):
            await conn.execute("insert into docs (title) select 'the same' from generate_series(1, 400)")
            await all_are_embedded(conn, 400)
        runs = await one(conn, "select count(*) from cdc_state.runs")
        assert isinstance(runs, int)
        assert provider.seen == ["the same"] * len(provider.seen)
        assert len(provider.seen) <= runs
