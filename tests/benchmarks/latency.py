"""Commit -> handler's first line, under light load, through the whole service."""

from __future__ import annotations

import asyncio
import random
import time
from dataclasses import dataclass

from tests.benchmarks import cpu
from tests.benchmarks.figures import Figure, percentile
from tests.benchmarks.ground import FUNCTIONS, Database, Ground
from tests.benchmarks.rows import PUBLISHED
from tests.benchmarks.service import service
from tests.waiting import eventually

WARMING_UP = 40
"""Rows whose latency does not count: connections open, plans are made."""

_INSERT = """
insert into rows (amount, body, meta) values (1, repeat('x', 100), '{"kind": "measured"}') returning id
"""
_STARTED = """
select (r.output ->> 'row')::bigint, (r.output ->> 'began')::float8,
       extract(epoch from e.accepted_at)::float8, extract(epoch from r.started_at)::float8
  from cdc_state.runs r join cdc_state.events e on e.id = r.event_ids[1]
 where r.status = 'completed'
"""


@dataclass(frozen=True, slots=True)
class Arrivals:
    """Seconds from COMMIT to the handler's first line of each row, and of what lies between; CPU seconds of all."""

    to_start: list[float]
    to_accept: list[float]
    to_claim: list[float]
    to_handler: list[float]
    service_cpu: float
    postgres_cpu: float


async def measure(ground: Ground) -> list[Figure]:
    """100 transactions of one row a second for ten seconds; the writer notes when each COMMIT has returned."""
    count = ground.size(1000, 80)
    async with ground.database() as db:
        arrived = await arrivals(db, count, per_second=100)
    return [
        Figure("commit to handler, p50", _ms(arrived.to_start, 50), "ms", at_most=10),
        Figure("commit to handler, p90", _ms(arrived.to_start, 90), "ms"),
        Figure("commit to handler, p99", _ms(arrived.to_start, 99), "ms", at_most=50),
        Figure("commit to accept begun, p50", _ms(arrived.to_accept, 50), "ms"),
        Figure("accept begun to claim begun, p50", _ms(arrived.to_claim, 50), "ms"),
        Figure("claim begun to handler, p50", _ms(arrived.to_handler, 50), "ms"),
        Figure("CPU of the service", arrived.service_cpu / count * 1000, "s/1,000 rows"),
        Figure("CPU of Postgres, writer included", arrived.postgres_cpu / count * 1000, "s/1,000 rows"),
    ]


async def arrivals(db: Database, count: int, *, per_second: float) -> Arrivals:
    """So many rows at this rate, through the whole service, in a database without any."""
    await db.run(*PUBLISHED)
    async with service(db.url, CDC_FUNCTIONS=str(FUNCTIONS / "latency")) as running:
        await _write(db, WARMING_UP, per_second)
        with cpu.spent(service=running.pid, postgres=db.postmaster) as used:
            committed = await _write(db, count, per_second)
            started = await eventually(lambda: _started(db, count + WARMING_UP), what="all handlers started")
    times = [(committed[row], *at) for row, *at in started if row in committed]
    return Arrivals(
        [began - commit for commit, began, _, _ in times],
        [accept - commit for commit, _, accept, _ in times],
        [claim - accept for _, _, accept, claim in times],
        [began - claim for _, began, _, claim in times],
        used["service"],
        used["postgres"],
    )


async def _write(db: Database, count: int, per_second: float) -> dict[int, float]:
    """When the COMMIT of each row returned. The pauses vary, so that they keep step with nothing."""
    chance = random.Random(0)
    committed: dict[int, float] = {}
    due = time.monotonic()
    for _ in range(count):
        row = await db.ask(_INSERT)
        committed[row] = time.time()
        due += chance.uniform(0.5, 1.5) / per_second
        await asyncio.sleep(max(0.0, due - time.monotonic()))
    return committed


async def _started(db: Database, count: int) -> list[tuple[int, float, float, float]]:
    """Row, handler's first line, accept's and claim's begin, of all runs, once they are so many."""
    rows = await (await db.conn.execute(_STARTED.encode())).fetchall()
    return [(row, *times) for row, *times in rows] if len(rows) >= count else []


def _ms(seconds: list[float], percent: int) -> float:
    return percentile(seconds, percent) * 1000
