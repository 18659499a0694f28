"""Runs that are queued beforehand, drained by real worker processes: the ones that `cdc run` starts.

The events enter by the door before the workers start; the clock runs from their first wake-up to the last run's end.
Every step's result is committed, with synchronous_commit on, before the next step begins; 1,000 runs are in flight.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from cdc.service.worker_process import Child
from tests.benchmarks import cpu
from tests.benchmarks.ground import FUNCTIONS, Database
from tests.benchmarks.service import environment
from tests.engine.harness import Engine, open_engine

TABLES = ("cdc_state.events", "cdc_state.runs", "cdc_state.steps")
"""What grows with runs, and is emptied before they are measured."""

_SENT_AT_ONCE = 20_000

_DONE = """
select not exists (select from cdc_state.runs where status in ('queued', 'sleeping'))
   and not exists (select from cdc_state.runs where status = 'running')
"""


@dataclass(frozen=True, slots=True)
class Drain:
    """What `count` runs took: seconds, CPU seconds, and bytes of WAL (from the event's entry to the run's end)."""

    count: int
    seconds: float
    worker_cpu: float
    postgres_cpu: float
    wal: int

    @property
    def per_second(self) -> float:
        """Runs a second."""
        return self.count / self.seconds

    @property
    def worker_ms(self) -> float:
        """CPU of the workers for one run, which is also seconds for 1,000."""
        return self.worker_cpu * 1000 / self.count

    @property
    def postgres_ms(self) -> float:
        """CPU of Postgres for one run."""
        return self.postgres_cpu * 1000 / self.count

    @property
    def bytes(self) -> float:
        """WAL of one run."""
        return self.wal / self.count


async def engine_of(db: Database) -> Engine:
    """The door to a database in which the measured functions are registered."""
    async with workers(db):
        pass  # has registered its functions, which the door looks up
    return await open_engine(db.url, db.conn)


async def queue(engine: Engine, name: str, count: int) -> None:
    """Queue so many runs of a measured function."""
    for first in range(0, count, _SENT_AT_ONCE):
        numbers = range(first, min(count, first + _SENT_AT_ONCE))
        await engine.send(f"measured/{name}", *({"number": number} for number in numbers))


async def drained(db: Database, engine: Engine, name: str, count: int, *, processes: int = 1) -> Drain:
    """So many runs of a measured function, from empty tables to empty queue."""
    await db.settle(*TABLES)
    written = -await db.written()
    await queue(engine, name, count)
    async with workers(db, processes) as children:
        roots = {f"worker {number}": child.pid for number, child in enumerate(children) if child.pid is not None}
        began = time.perf_counter()
        with cpu.spent(postgres=db.postmaster, **roots) as used:
            for child in children:
                child.wake()
            await db.until(_DONE)
        seconds = time.perf_counter() - began
    completed = await db.ask("select count(*) from cdc_state.runs where status = 'completed'")
    assert completed == count, f"{completed} of {count} runs completed"
    return Drain(count, seconds, sum(used[root] for root in roots), used["postgres"], written + await db.written())


@asynccontextmanager
async def workers(db: Database, count: int = 1) -> AsyncIterator[list[Child]]:
    """Worker processes that are ready, and claim nothing before they are woken."""
    settings = environment(db.url, {"CDC_FUNCTIONS": str(FUNCTIONS / "runs"), "CDC_CONCURRENCY": "1000"})
    children = [Child(lambda: settings) for _ in range(count)]
    async with AsyncExitStack() as stack:
        for child in children:
            await child.start()
            stack.push_async_callback(child.stop, within=15)
        yield children
