"""Runs a second in one worker process, the real one that `cdc run` starts.

The events enter by the door before the worker starts; the clock runs from its first wake-up to the last run's end.
Every step's result is committed, with synchronous_commit on, before the next step begins; 1,000 runs are in flight.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from statistics import median

from cdc.service.worker_process import Child
from tests.benchmarks import cpu
from tests.benchmarks.figures import Figure
from tests.benchmarks.ground import FUNCTIONS, Database, Ground
from tests.benchmarks.service import environment
from tests.engine.harness import Engine, open_engine

_ROUNDS = 3
_TABLES = ("cdc_state.events", "cdc_state.runs", "cdc_state.steps")

_DONE = """
select not exists (select from cdc_state.runs where status in ('queued', 'sleeping'))
   and not exists (select from cdc_state.runs where status = 'running')
"""


@dataclass(frozen=True, slots=True)
class _Drain:
    """What a number of runs took; `wal` is in bytes, from the event's entry to the run's end."""

    seconds: float
    worker_cpu: float
    postgres_cpu: float
    wal: int


async def measure(ground: Ground) -> list[Figure]:
    """Functions without a step and with three, by turns."""
    sizes = {"no-op": ground.size(20_000, 1_000), "three-steps": ground.size(10_000, 1_000)}
    goals = {"no-op": 8_000, "three-steps": 3_000}
    drains: dict[str, list[_Drain]] = {name: [] for name in sizes}
    async with ground.database() as db:
        async with _worker(db):
            pass  # has registered its functions, which the door looks up
        engine = await open_engine(db.url, db.conn)
        for _ in range(1 if ground.quick else _ROUNDS):
            for name, count in sizes.items():
                drains[name].append(await _drained(db, engine, name, count))
    return [figure for name in sizes for figure in _figures(name, sizes[name], goals[name], drains[name])]


async def _drained(db: Database, engine: Engine, name: str, count: int) -> _Drain:
    await db.settle(*_TABLES)
    written = -await db.written()
    await engine.send(f"measured/{name}", *({"number": number} for number in range(count)))
    async with _worker(db) as worker:
        assert worker.pid is not None, "it has started"
        began = time.perf_counter()
        with cpu.spent(worker=worker.pid, postgres=db.postmaster) as used:
            worker.wake()
            await db.until(_DONE)
        seconds = time.perf_counter() - began
    completed = await db.ask("select count(*) from cdc_state.runs where status = 'completed'")
    assert completed == count, f"{completed} of {count} runs completed"
    return _Drain(seconds, used["worker"], used["postgres"], written + await db.written())


@asynccontextmanager
async def _worker(db: Database) -> AsyncIterator[Child]:
    """A worker process that is ready, and claims nothing before it is woken."""
    child = Child(environment(db.url, {"CDC_FUNCTIONS": str(FUNCTIONS / "runs"), "CDC_CONCURRENCY": "1000"}))
    await child.start()
    try:
        yield child
    finally:
        await child.stop(within=15)


def _figures(name: str, count: int, goal: float, drains: list[_Drain]) -> list[Figure]:
    return [
        Figure(name, count / median(drain.seconds for drain in drains), "runs/s", at_least=goal),
        Figure(f"{name}, CPU of the worker", _each([drain.worker_cpu for drain in drains], count), "ms/run"),
        Figure(f"{name}, CPU of Postgres", _each([drain.postgres_cpu for drain in drains], count), "ms/run"),
        Figure(f"{name}, WAL", median(drain.wal for drain in drains) / count, "bytes/run"),
    ]


def _each(seconds: list[float], count: int) -> float:
    return median(seconds) * 1000 / count
