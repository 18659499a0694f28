"""Events over HTTP: how many a second one service takes, with the client and Postgres on the same cores."""

from __future__ import annotations

import asyncio
import sys
import time
from asyncio.subprocess import PIPE
from dataclasses import dataclass

import httpx
import orjson

from tests.benchmarks import cpu, memory
from tests.benchmarks.figures import Figure, percentile
from tests.benchmarks.ground import FUNCTIONS, ROOT, Database, Ground
from tests.benchmarks.rows import PUBLISHED
from tests.benchmarks.sender import Sent
from tests.benchmarks.service import Service, service
from tests.waiting import eventually

_LOOK_EVERY = 0.05

_ENDED = "select count(*) from cdc_state.runs where ended_at is not null"


@dataclass(frozen=True, slots=True)
class _Load:
    """Requests of `size` events of this name over so many connections; the goal is in events a second."""

    title: str
    name: str
    size: int
    connections: int = 8
    goal: float | None = None


_LOADS = (
    _Load("batches of 100", "measured/taken", 100, goal=10_000),
    _Load("batches of 100, a run each", "measured/no-op", 100),
    _Load("single events", "measured/taken", 1, connections=32),
)


async def measure(ground: Ground) -> list[Figure]:
    """Events that start nothing and events that start a run each, a hundred to a request; and one to a request."""
    figures: list[Figure] = []
    async with ground.database() as db:
        await db.run(*PUBLISHED)
        async with service(db.url, CDC_FUNCTIONS=str(FUNCTIONS / "runs")) as running:
            for load in _LOADS:
                await db.settle("cdc_state.events", "cdc_state.runs")
                await _sent(running, load, 0.5)
                figures += await _measured(db, running, load, seconds=ground.size(10, 2))
            figures.append(Figure("memory of the service, most", memory.peak(running.pid) / 2**20, "MiB"))
    return figures


async def _measured(db: Database, running: Service, load: _Load, *, seconds: float) -> list[Figure]:
    before = await db.ask(_ENDED)
    looks: list[float] = []
    looking = asyncio.create_task(_look(running.url, looks))
    with cpu.spent(service=running.pid, postgres=db.postmaster) as used:
        sent = await _sent(running, load, seconds)
    await eventually(lambda: len(looks) > 1, within=60, what="somebody has looked meanwhile")  # for percentiles
    looking.cancel()
    await asyncio.wait([looking])
    ended = await db.ask(_ENDED) - before
    assert sent.statuses.keys() == {"200"}, sent.statuses
    events = sum(sent.statuses.values()) * load.size
    title = load.title
    runs = [Figure(f"{title}, runs ended meanwhile", ended / sent.seconds, "runs/s")] if ended else []
    return [
        Figure(title, events / sent.seconds, "events/s", at_least=load.goal),
        *runs,
        Figure(f"{title}, p50 of a request", percentile(sent.took, 50) * 1000, "ms"),
        Figure(f"{title}, p99 of a request", percentile(sent.took, 99) * 1000, "ms"),
        Figure(f"{title}, p99 of GET /v1/functions meanwhile", percentile(looks, 99) * 1000, "ms"),
        Figure(f"{title}, CPU of the service", used["service"] / events * 1e6, "us/event"),
        Figure(f"{title}, CPU of Postgres", used["postgres"] / events * 1e6, "us/event"),
        Figure(f"{title}, CPU of the client", sent.cpu / events * 1e6, "us/event"),
    ]


async def _look(url: str, took: list[float]) -> None:
    """How long a page takes meanwhile, until cancelled."""
    async with httpx.AsyncClient(base_url=url, trust_env=False, timeout=60) as client:
        while True:
            began = time.perf_counter()
            (await client.get("/v1/functions")).raise_for_status()
            took.append(time.perf_counter() - began)
            await asyncio.sleep(_LOOK_EVERY)


async def _sent(running: Service, load: _Load, seconds: float) -> Sent:
    arguments = (running.url, load.name, load.size, load.connections, seconds)
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.benchmarks.sender", *map(str, arguments), cwd=ROOT, stdout=PIPE
    )
    out, _ = await process.communicate()
    assert process.returncode == 0, "the client failed"
    return Sent(**orjson.loads(out))
