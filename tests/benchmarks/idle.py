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

_NO_AUTOVACUUM = ("alter system set autovacuum = off", "select pg_reload_conf()")
"""Its transactions are counted with those of the service, and a fresh database gives it something to do."""

_AS_BEFORE = ("alter system reset autovacuum", "select pg_reload_conf()")

_TRANSACTIONS = "select xact_commit from pg_stat_database where datname = %s"


async def measure(ground: Ground) -> list[Figure]:
    """Periods of ten seconds in which no row changes and no run is due; a listener and one worker."""
    worker_cpu, server_cpu = [], []
    periods, seconds = ground.size(6, 1), ground.size(10, 1)
    settled = ground.size(12, 1)  # a backend tells what it did after 10 s of idleness at the latest
    async with ground.database() as db:
        await db.run(*PUBLISHED, *_NO_AUTOVACUUM)
        async with (
            service(db.url, CDC_FUNCTIONS=str(FUNCTIONS / "latency")) as running,
            await AsyncConnection.connect(make_conninfo(db.url, dbname="postgres"), autocommit=True) as elsewhere,
        ):
            await asyncio.sleep(settled)
            before = await _transactions(elsewhere, db.conn.info.dbname)
            for _ in range(periods):
                with cpu.spent(service=running.pid, postgres=db.postmaster) as used:
                    await asyncio.sleep(seconds)
                worker_cpu.append(used["service"])
                server_cpu.append(used["postgres"])
            made = await _transactions(elsewhere, db.conn.info.dbname) - before
        await db.run(*_AS_BEFORE)
    return [
        Figure("CPU of the service", median(worker_cpu) * 1000 / seconds, "ms/s"),
        Figure("CPU of Postgres", median(server_cpu) * 1000 / seconds, "ms/s"),
        Figure("transactions", made * 60 / (seconds * periods), "a minute"),
    ]


async def _transactions(elsewhere: AsyncConnection[tuple[int]], database: str) -> int:
    """How many a database has committed, the walsender's included, told by a connection to another."""
    row = await (await elsewhere.execute(_TRANSACTIONS.encode(), [database])).fetchone()
    assert row is not None, "the database is there"
    return row[0]
