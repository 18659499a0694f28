"""Functions of an app with the official Python SDK: runs a second, and how long an event takes to its function."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx

from tests.benchmarks import cpu, memory
from tests.benchmarks.figures import Figure, percentile
from tests.benchmarks.ground import ROOT, Database, Ground
from tests.benchmarks.service import Service, service
from tests.ports import free_port
from tests.waiting import eventually

_BATCH = 100

_STARTED = """
select (e.data ->> 'sent')::float8, (s.data #>> '{}')::float8
  from cdc_state.runs r
  join cdc_state.events e on e.id = r.event_ids[1]
  join cdc_state.steps s on s.run_id = r.id
 where r.status = 'completed' and e.data ->> 'kind' = 'apart'
"""
_ENDED = "select count(*) >= %s from cdc_state.runs where status = 'completed'"


async def measure(ground: Ground) -> list[Figure]:
    """Events one after the other, each when the one before has ended; then as many as there are, in batches of 100."""
    apart, together = ground.size(200, 20), ground.size(2000, 100)
    async with ground.database() as db, service(db.url, CDC_WORKERS="0") as running, _app(running.url) as pid:
        took = await _apart(db, running, apart)
        with cpu.spent(service=running.pid, postgres=db.postmaster, app=pid) as used:
            seconds = await _together(db, running, together)
        resident, each = memory.resident(running.pid), memory.resident(running.pid, apart=True)
    return [
        Figure("one-step runs", together / seconds, "runs/s", at_least=60),
        Figure("event to function, p50", percentile(took, 50) * 1000, "ms", at_most=15),
        Figure("event to function, p99", percentile(took, 99) * 1000, "ms", at_most=60),
        Figure("memory of the service, no worker of its own", resident / 2**20, "MiB", at_most=200),
        Figure("the same, shared pages counted for each process", each / 2**20, "MiB"),
        Figure("CPU of the service", used["service"] / together * 1000, "ms/run"),
        Figure("CPU of Postgres", used["postgres"] / together * 1000, "ms/run"),
        Figure("CPU of the app", used["app"] / together * 1000, "ms/run"),
    ]


@asynccontextmanager
async def _app(service_url: str) -> AsyncIterator[int]:
    """The app's process, when it has told the service of its function."""
    port = free_port()
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.benchmarks.app", str(port)),
        cwd=ROOT,
        env={**os.environ, "INNGEST_DEV": service_url},
    )
    try:
        await eventually(lambda: _synced(f"http://127.0.0.1:{port}/api/inngest"), within=60, what="the app is synced")
        yield process.pid
    finally:
        process.terminate()
        await process.wait()


async def _synced(url: str) -> bool:
    async with httpx.AsyncClient(trust_env=False) as client:
        try:
            return (await client.put(url)).status_code == 200
        except httpx.TransportError:
            return False


async def _apart(db: Database, running: Service, count: int) -> list[float]:
    """Seconds from the request to the function's first line, without the first tenth: connections open."""
    async with httpx.AsyncClient(base_url=running.url, trust_env=False, timeout=60) as client:
        for number in range(1, count + 1):
            event = {"name": "measured/app", "data": {"kind": "apart", "sent": time.time()}}
            (await client.post("/e/key", json=event)).raise_for_status()
            await db.until(_ENDED, number, every=0.005)
    found = await (await db.conn.execute(_STARTED.encode())).fetchall()
    return [began - sent for sent, began in sorted(found)[count // 10 :]]


async def _together(db: Database, running: Service, count: int) -> float:
    """Seconds from the first request to the end of the last run."""
    before = await db.ask("select count(*) from cdc_state.runs")
    began = time.perf_counter()
    async with httpx.AsyncClient(base_url=running.url, trust_env=False, timeout=60) as client:
        for _ in range(count // _BATCH):
            events = [{"name": "measured/app", "data": {}}] * _BATCH
            (await client.post("/e/key", json=events)).raise_for_status()
    await db.until(_ENDED, before + count)
    return time.perf_counter() - began
