"""What one claim costs with ever more runs queued behind it.

A claim of 500 runs by the worker's own statement, rolled back, so that each finds the same queue.
"""

from __future__ import annotations

import os
import time
from statistics import median

import psycopg

from cdc.engine import places
from cdc.engine.claims import MOST
from cdc.store import functions, runs, workers
from tests.benchmarks.drains import TABLES, engine_of, queue
from tests.benchmarks.figures import Figure
from tests.benchmarks.ground import Database, Ground

_BACKLOGS = ((1_000, 1_000), (10_000, 2_000), (100_000, 4_000))
"""Runs that are queued; the second number is for a quick run."""

_CLAIMS = 15
_FLAT = 1.5
"""Times the claim with the shortest queue that the one with the longest may take."""

_FUNCTIONS = ("no-op", "keyed")
"""Measured one after the other: without limits, and with a limit for each of 10,000 keys."""


async def measure(ground: Ground) -> list[Figure]:
    """The median of fifteen claims at each length of the queue."""
    figures: list[Figure] = []
    async with ground.database() as db:
        engine = await engine_of(db)
        for function in _FUNCTIONS:
            await db.settle(*TABLES)
            taken, queued = [], 0
            for backlog in (ground.size(usual, quick) for usual, quick in _BACKLOGS):
                await queue(engine, function, backlog - queued)
                queued = backlog
                taken.append(await _claim(db, function))
                figures.append(Figure(f"{function}, {backlog:,} queued", taken[-1] * 1000, "ms/claim"))
            ratio = taken[-1] / taken[0]
            figures.append(Figure(f"{function}, longest queue to shortest", ratio, "times", at_most=_FLAT))
    return figures


async def _claim(db: Database, function: str) -> float:
    """Median seconds of a claim."""
    await db.run("vacuum analyze cdc_state.runs")  # as autovacuum does in a while
    worker = await workers.register(db.conn, host="here", pid=os.getpid(), functions=[function], lease=3600)
    _, definitions = await functions.registered(db.conn)
    flows = {definition["id"]: definition["flow"] for definition in definitions if definition["id"] == function}
    taken = []
    for _ in range(_CLAIMS):
        async with db.conn.transaction():
            began = time.perf_counter()
            if "concurrency" in flows[function]:
                claimed = (await places.claim(db.conn, worker, flows, MOST)).runs
            else:
                claimed = await runs.claim(db.conn, worker, [function], MOST)
            taken.append(time.perf_counter() - began)
            assert len(claimed) == MOST, f"claimed {len(claimed)}"
            raise psycopg.Rollback
    await workers.leave(db.conn, [worker])
    return median(taken)
