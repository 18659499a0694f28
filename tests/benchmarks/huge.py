"""One transaction of 5,000,000 rows, and what else goes on while it passes.

Nothing is started by its rows. Meanwhile events come in over HTTP, ten a second, and each starts a run.
"""

from __future__ import annotations

import asyncio
import socket
import time

from cdc import Client, Event
from cdc.lsn import render
from tests.benchmarks import memory, rows
from tests.benchmarks.figures import Figure, percentile
from tests.benchmarks.ground import FUNCTIONS, Database, Ground
from tests.benchmarks.readers import PASSED
from tests.benchmarks.service import service

_EVERY = 0.1
_PATIENCE = 1800.0

_STARTED = """
select e.id::text, extract(epoch from r.started_at)::float8
  from cdc_state.runs r join cdc_state.events e on e.id = r.event_ids[1]
 where r.status = 'completed'
"""
_LOAD = """
insert into rows (amount, body, meta)
select i % 1000, repeat(md5(i::text), 3), jsonb_build_object('kind', 'measured', 'n', i) from generate_series(1, {}) i
"""


async def measure(ground: Ground) -> list[Figure]:
    """The clock runs from the COMMIT until everything is stored."""
    count = ground.size(5_000_000, 50_000)
    async with ground.database() as db:
        await db.run(*rows.PUBLISHED)
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        async with service(db.url, CDC_FUNCTIONS=str(FUNCTIONS / "runs"), CDC_PORT=str(port)) as running:
            await db.run(_LOAD.format(count))
            began, end = time.perf_counter(), render(await db.written())
            await rows.load(db, transactions=1, size=1)
            passing = asyncio.create_task(db.until(PASSED, end, every=0.2, within=_PATIENCE))
            sent = await _send(f"http://127.0.0.1:{port}", passing)
            await passing
            seconds = time.perf_counter() - began
            peak = memory.peak(running.pid)
            waited = await _waited(db, sent)
        stored = await db.ask("select count(*) from cdc_state.events where name = 'db/rows.inserted'")
    assert stored == count + 1, f"not one event for each row: {stored}"
    return [
        Figure(f"a transaction of {count:,} rows", count / seconds, "rows/s"),
        Figure("most memory of the service", peak / 1e6, "MB", at_most=300),
        Figure("an event sent meanwhile to its run, p50", percentile(waited, 50) * 1000, "ms"),
        Figure("an event sent meanwhile to its run, p99", percentile(waited, 99) * 1000, "ms"),
    ]


async def _send(url: str, passing: asyncio.Task[None]) -> dict[str, float]:
    """Events until that has ended: their ids, and when each was sent."""
    client, sent = Client(url), dict[str, float]()
    while not passing.done() or len(sent) < 10:
        at = time.time()
        (event_id,) = await client.send(Event("measured/no-op", {}))
        sent[event_id] = at
        await asyncio.sleep(_EVERY)
    return sent


async def _waited(db: Database, sent: dict[str, float]) -> list[float]:
    await db.until(f"select count(*) = {len(sent)} from cdc_state.runs where status = 'completed'")
    started = await (await db.conn.execute(_STARTED.encode())).fetchall()
    return [at - sent[event_id] for event_id, at in started]
