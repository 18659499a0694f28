"""From an inserted row to its vector, through the whole service, beside a provider on loopback.

The provider speaks OpenAI's API in a process of its own and takes 100 ms a request; 1,536 dimensions.
"""

from __future__ import annotations

import asyncio
import sys
import time
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from statistics import median

import httpx
import orjson

from tests.benchmarks import cpu
from tests.benchmarks.figures import Figure
from tests.benchmarks.ground import ROOT, Database, Ground
from tests.benchmarks.service import service
from tests.benchmarks.texts import INSERT, TABLE

_LATENCY = 0.1

TARGET = "select format('%I.%I', target_schema, target_table) from cdc.embeddings"

_INDEXED = "select index_state = 'ready' from cdc.embeddings"
_LEAST = 5_000
"""Vectors; with fewer no index is made."""


async def measure(ground: Ground) -> list[Figure]:
    """5,000 rows of about 1 kB by one INSERT, then single rows while nothing else happens."""
    count, singles = ground.size(5_000, 200), ground.size(30, 3)
    async with ground.database() as db, provider_beside() as provider:
        await db.run(TABLE)
        async with service(db.url, OPENAI_BASE_URL=provider, OPENAI_API_KEY="any", CDC_EMBED="notes(body)") as running:
            target = await db.ask(TARGET)
            await embedded(db, target, 1)  # connections are open from now on
            asked = await requests(provider)
            with cpu.spent(service=running.pid, postgres=db.postmaster) as used:
                seconds = await embedded(db, target, count)
            asked = await requests(provider) - asked
            if count >= _LEAST:
                await db.until(_INDEXED)  # a server that builds an index is not at rest
            single, alone = await _singles(db, target, provider, singles)
    return [
        Figure("rows to vectors", count / seconds, "rows/s"),
        Figure("requests", asked, f"for {count:,} rows"),
        Figure("CPU of the service", used["service"] * 1000 / count, "ms/row", at_most=0.2),
        Figure("CPU of Postgres", used["postgres"] * 1000 / count, "ms/row"),
        Figure("single row to vector, p50", single * 1000, "ms"),
        Figure("one request to the provider alone, p50", alone * 1000, "ms"),
        Figure("single row less the provider's 100 ms", (single - _LATENCY) * 1000, "ms", at_most=40),
        Figure("single row less such a request", (single - alone) * 1000, "ms"),
    ]


async def embedded(db: Database, target: str, count: int) -> float:
    """Insert rows and wait for their vectors; seconds from the INSERT's begin."""
    before = await db.ask(f"select count(*) from {target}")
    began = time.perf_counter()
    await db.run(INSERT.format(count=count))
    await db.until(f"select count(*) = %s from {target}", before + count)
    return time.perf_counter() - began


async def _single(db: Database, target: str) -> float:
    """Seconds from the COMMIT of a row to its vector. Looked for by its key: to count all would be work beside it."""
    await db.run(INSERT.format(count=1))
    began = time.perf_counter()
    last = await db.ask("select max(id) from notes")
    await asyncio.sleep(_LATENCY)  # no need to look before
    await db.until(f"select exists (select from {target} where id = %s)", last, every=0.001)
    return time.perf_counter() - began


async def _singles(db: Database, target: str, provider: str, count: int) -> tuple[float, float]:
    """Median seconds of a single row, and, by turns with it, of nothing but a request to the provider."""
    rows, requests = [], []
    async with httpx.AsyncClient() as client:
        for n in range(count):
            rows.append(await _single(db, target))
            requests.append(await _answered(client, provider, n))
    return median(rows), median(requests)


async def _answered(client: httpx.AsyncClient, provider: str, n: int) -> float:
    """Seconds of one bare request for one text."""
    body = orjson.dumps({"model": "any", "input": [f"{n} " * 300], "encoding_format": "base64"})
    began = time.perf_counter()
    await client.post(f"{provider}/embeddings", content=body)
    return time.perf_counter() - began


async def requests(provider: str) -> int:
    async with httpx.AsyncClient() as client:
        return int((await client.get(provider.replace("/v1", "/stats"))).json()["requests"])


@asynccontextmanager
async def provider_beside() -> AsyncIterator[str]:
    """The provider's base URL."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.openai_server", "--port=0", f"--latency={_LATENCY}", cwd=ROOT, stdout=PIPE
    )
    assert process.stdout is not None, "it has a pipe"
    try:
        yield (await process.stdout.readline()).decode().strip()
    finally:
        process.terminate()
        await process.wait()
