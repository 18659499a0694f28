"""What the service costs while nothing changes: databases that are billed by activity should see little of it."""

from __future__ import annotations

import asyncio
from statistics import median

from psycopg import AsyncConnection
from psycopg.conninfo import make_conninfo

from tests.benchmarks import cpu
from tests.benchmarks.figures import Figure
from tests.benchmarks.ground import FUNCTIONS, Ground
from tests.benchmarks.rows import PUBLISHED
from tests.benchmarks.service import service

_SETTLED = 3.0
"""Seconds in which a service that has just begun to listen comes to rest."""

_TRANSACTIONS = "select xact_commit + xact_rollback from pg_stat_database where datname = %s"


async def measure(ground: Ground) -> list[Figure]:
    """Periods of ten seconds in which no row changes and no run is due; a listener and one worker."""
    worker_cpu, server_cpu = [], []
    periods, seconds = ground.size(6, 1), ground.size(10, 1)
    async with ground.database() as db:
        await db.run(*PUBLISHED)
        async with (
            service(db.url, CDC_FUNCTIONS=str(FUNCTIONS / "latency")) as running,
            await AsyncConnection.connect(make_conninfo(db.url, dbname="postgres"), autocommit=True) as elsewhere,
        ):
            await asyncio.sleep(_SETTLED)
            before = await _transactions(elsewhere, db.conn.info.dbname)
            for _ in range(periods):
                with cpu.spent(service=running.pid, postgres=db.postmaster) as used:
                    await asyncio.sleep(seconds)
                worker_cpu.append(used["service"])
                server_cpu.append(used["postgres"])
            asked = await _transactions(elsewhere, db.conn.info.dbname) - before
    return [
        Figure("CPU of the service", median(worker_cpu) * 1000 / seconds, "ms/s"),
        Figure("CPU of Postgres", median(server_cpu) * 1000 / seconds, "ms/s"),
        Figure("statements", asked * 60 / (seconds * periods), "a minute"),
    ]


async def _transactions(elsewhere: AsyncConnection[tuple[int]], database: str) -> int:
    """How many a database has seen, told by a connection to another; an idle service's have one statement each."""
    row = await (await elsewhere.execute(_TRANSACTIONS.encode(), [database])).fetchone()
    assert row is not None, "the database is there"
    return row[0]
