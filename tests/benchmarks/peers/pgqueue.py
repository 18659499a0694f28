"""PgQueuer: a queue without durable steps, so three steps are three jobs.

Each of them stores its result in a table and queues the next in one transaction; jobs are claimed 50 at a time and
woken by NOTIFY. asyncpg and uvloop, as its own command has it.
"""

from __future__ import annotations

import asyncio
import os
import random
import time
import traceback
from datetime import timedelta
from typing import Any

import asyncpg
import uvloop
from pgqueuer.db import AsyncpgDriver, AsyncpgPoolDriver
from pgqueuer.models import Job
from pgqueuer.qm import QueueManager
from pgqueuer.queries import Queries

from tests.benchmarks.peers.lines import Begun, answer, commands

_URL = os.environ["DATABASE_URL"]
_BATCH = 50
_CONNECTIONS = 20
_ENQUEUED_AT_ONCE = 1000
_STEPS = ("first", "second", "third")
_RESULTS = "create table if not exists results (run bigint, step text, number bigint, primary key (run, step))"
_STORE = "insert into results (run, step, number) values ($1, $2, $3)"

begun = Begun()


class Commands:
    """Each method is a command."""

    async def prepare(self) -> dict[str, Any]:
        """Make the schema, with the settings of autovacuum that it recommends."""
        conn = await asyncpg.connect(_URL)
        queries = Queries(AsyncpgDriver(conn))
        await queries.install()
        await queries.optimize_autovacuum()
        await conn.execute(_RESULTS)
        await conn.close()
        return {}

    async def enqueue(self, workload: str, count: int) -> dict[str, Any]:
        """Queue so many jobs, which nobody runs yet."""
        conn = await asyncpg.connect(_URL)
        queries, entrypoint = Queries(AsyncpgDriver(conn)), _STEPS[0] if workload == "three-steps" else workload
        for first in range(0, count, _ENQUEUED_AT_ONCE):
            payloads = [_payload(number, number) for number in range(first, min(count, first + _ENQUEUED_AT_ONCE))]
            await queries.enqueue([entrypoint] * len(payloads), payloads, [0] * len(payloads))
        await conn.close()
        return {}

    async def send(self, first: int, count: int, per_second: float) -> dict[str, Any]:
        """Queue arrivals at this rate; when each call returned."""
        queries, chance = Queries(AsyncpgDriver(await asyncpg.connect(_URL))), random.Random(first)
        sent, due = {}, time.monotonic()
        for number in range(first, first + count):
            await queries.enqueue("arrival", _payload(number, number))
            sent[number] = time.time()
            due += chance.uniform(0.5, 1.5) / per_second
            await asyncio.sleep(max(0.0, due - time.monotonic()))
        return {"sent": sent}

    async def work(self) -> dict[str, Any]:
        """Run what is queued, from now on; answered when the first job begins."""
        pool = await asyncpg.create_pool(_URL, min_size=_CONNECTIONS, max_size=_CONNECTIONS)
        manager = QueueManager(Queries(AsyncpgPoolDriver(pool)))
        _register(manager, pool)
        self._working = asyncio.create_task(manager.run(batch_size=_BATCH, dequeue_timeout=timedelta(seconds=30)))
        first = asyncio.create_task(asyncio.to_thread(begun.first.wait))
        await asyncio.wait({self._working, first}, return_when=asyncio.FIRST_COMPLETED)
        if self._working.done():
            await self._working
        return {}

    async def begun(self) -> dict[str, Any]:
        """When the arrivals' handlers began."""
        return {"begun": begun.at}


def _register(manager: QueueManager, pool: asyncpg.Pool) -> None:
    async def no_op(job: Job) -> None:
        begun.note()

    async def arrival(job: Job) -> None:
        begun.arrived(_numbers(job)[0])

    async def step(job: Job) -> None:
        begun.note()
        run, number = _numbers(job)
        async with pool.acquire() as conn, conn.transaction():
            await conn.execute(_STORE, run, job.entrypoint, number + 1)
            if job.entrypoint != _STEPS[-1]:
                following = _STEPS[_STEPS.index(job.entrypoint) + 1]
                await Queries(AsyncpgDriver(conn)).enqueue(following, _payload(run, number + 1))

    for name, handler in {"no-op": no_op, "arrival": arrival, **dict.fromkeys(_STEPS, step)}.items():
        manager.entrypoint(name)(handler)


def _payload(run: int, number: int) -> bytes:
    return f"{run} {number}".encode()


def _numbers(job: Job) -> tuple[int, int]:
    run, number = (job.payload or b"").split()
    return int(run), int(number)


async def main() -> None:
    offered, asked = Commands(), commands()
    try:
        while (command := await asyncio.to_thread(next, asked, None)) is not None:
            answer(**await getattr(offered, command.pop("do"))(**command))
    except Exception:
        traceback.print_exc()
    os._exit(1)  # threads still wait for a first job or for the next command


if __name__ == "__main__":
    uvloop.run(main())
