"""Commit -> handler's first line, under light load, through the whole service."""

from __future__ import annotations

import asyncio
import random
import time

from tests.benchmarks import cpu
from tests.benchmarks.figures import Figure, percentile
from tests.benchmarks.ground import FUNCTIONS, Database, Ground
from tests.benchmarks.rows import PUBLISHED
from tests.benchmarks.service import service
from tests.waiting import eventually

_PER_SECOND = 80
_WARMING_UP = 40

_INSERT = """
insert into rows (amount, body, meta) values (1, repeat('x', 100), '{"kind": "measured"}') returning id
"""
_STARTED = """
select (r.output ->> 'row')::bigint, (r.output ->> 'began')::float8,
       extract(epoch from e.accepted_at)::float8, extract(epoch from r.started_at)::float8
  from cdc_state.runs r join cdc_state.events e on e.id = r.event_ids[1]
 where r.status = 'completed'
"""


async def measure(ground: Ground) -> list[Figure]:
    """80 transactions of one row a second for ten seconds; the writer notes when each COMMIT has returned."""
    count = ground.size(800, 80)
    async with ground.database() as db:
        await db.run(*PUBLISHED)
        async with service(db.url, CDC_FUNCTIONS=str(FUNCTIONS / "latency")) as running:
            await _write(db, _WARMING_UP)
            with cpu.spent(service=running.pid, postgres=db.postmaster) as used:
                committed = await _write(db, count)
                started = await eventually(lambda: _started(db, count + _WARMING_UP), what="all handlers started")
    measured = [(committed[row], *times) for row, *times in started if row in committed]
    to_start = [(began - commit) * 1000 for commit, began, _, _ in measured]
    return [
        Figure("commit to handler, p50", percentile(to_start, 50), "ms", at_most=10),
        Figure("commit to handler, p90", percentile(to_start, 90), "ms"),
        Figure("commit to handler, p99", percentile(to_start, 99), "ms", at_most=50),
        Figure("commit to accept begun, p50", _median([at - commit for commit, _, at, _ in measured]), "ms"),
        Figure("accept begun to claim begun, p50", _median([to - at for _, _, at, to in measured]), "ms"),
        Figure("claim begun to handler, p50", _median([began - at for _, began, _, at in measured]), "ms"),
        Figure("CPU of the service", used["service"] / count * 1000, "s/1,000 rows"),
        Figure("CPU of Postgres, writer included", used["postgres"] / count * 1000, "s/1,000 rows"),
    ]


async def _write(db: Database, count: int) -> dict[int, float]:
    """When the COMMIT of each row returned. The pauses vary, so that they keep step with nothing."""
    chance = random.Random(0)
    committed: dict[int, float] = {}
    due = time.monotonic()
    for _ in range(count):
        row = await db.ask(_INSERT)
        committed[row] = time.time()
        due += chance.uniform(0.5, 1.5) / _PER_SECOND
        await asyncio.sleep(max(0.0, due - time.monotonic()))
    return committed


async def _started(db: Database, count: int) -> list[tuple[int, float, float, float]]:
    """Row, handler's first line, accept's and claim's begin, of all runs, once they are so many."""
    rows = await (await db.conn.execute(_STARTED.encode())).fetchall()
    return [(row, *times) for row, *times in rows] if len(rows) >= count else []


def _median(seconds: list[float]) -> float:
    return percentile(seconds, 50) * 1000
