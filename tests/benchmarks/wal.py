"""From WAL to stored events, beside what Postgres's own client makes of the same WAL.

Every reader gets a copy of one slot, so that all read the same bytes. They take turns, in another order each round,
and ratios are of one round. The service is the real one without workers (CDC_WORKERS=0); its clock runs from its
"listening" until its checkpoint is past the load, that of pg_recvlogical from "streaming initiated" until there.
"""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable
from statistics import median
from typing import NamedTuple

from cdc import Context, function
from cdc.lsn import Lsn
from cdc.store import checkpoints, functions, workers
from cdc.store.connect import Connection
from tests.benchmarks import rows
from tests.benchmarks.figures import Figure
from tests.benchmarks.ground import Database, Ground
from tests.benchmarks.readers import Reading, read_by_decoder, read_by_recvlogical, read_by_service

_ROUNDS = 3

_GOALS = {(100, "read and decoded"): 1.0, (100, "service"): 0.5}
"""Of pg_recvlogical's rate, by size of the transactions and reader."""


@function("no-op", on="db/rows.inserted")
async def _no_op(ctx: Context) -> None:
    pass


class Load(NamedTuple):
    """Transactions in the WAL, and the LSN at which the last of them has ended."""

    rows: int
    size: int
    end: Lsn


async def measure(ground: Ground) -> list[Figure]:
    """Rows of about 200 bytes in transactions of 100, 1 and 10,000; the quick run has only the first."""
    figures: list[Figure] = []
    async with ground.database() as db:
        await db.run(*rows.PUBLISHED)
        if ground.quick:
            return await measured(db, size=100, count=5_000, rounds=1)
        for size, count in ((100, 100_000), (1, 30_000), (10_000, 100_000)):
            figures += await measured(db, size, count)
    return figures


async def measured(db: Database, size: int, count: int, rounds: int = _ROUNDS) -> list[Figure]:
    """So many rows in transactions of this size, read by each of the readers."""
    load = await loaded(db, size, count)
    readers: dict[str, Callable[[], Awaitable[Reading]]] = {
        "pg_recvlogical": lambda: _by(read_by_recvlogical, db, load),
        "read and decoded": lambda: _by(read_by_decoder, db, load),
        "service": lambda: by_service(db, load, matching=False),
        "service with runs": lambda: by_service(db, load, matching=True),
    }
    readings: dict[str, list[Reading]] = {name: [] for name in readers}
    for turn in range(rounds):
        names = list(readers)
        for name in names[turn % len(names) :] + names[: turn % len(names)]:
            readings[name].append(await readers[name]())
    await db.run("select pg_drop_replication_slot('base')", "truncate rows")
    return _figures(load, readings)


async def loaded(db: Database, size: int, count: int) -> Load:
    """So many rows in transactions of this size, behind the slot `base`."""
    await db.run("select pg_create_logical_replication_slot('base', 'pgoutput')")
    await rows.load(db, transactions=count // size, size=size)
    end = await db.written()
    await rows.load(db, transactions=1, size=1)  # a transaction beyond the end shows that everything before it was read
    return Load(count, size, end)


async def _by(read: Callable[[Database, str, Lsn], Awaitable[Reading]], db: Database, load: Load) -> Reading:
    slot = await copied_slot(db)
    reading = await read(db, slot, load.end)
    await db.run(f"select pg_drop_replication_slot('{slot}')")
    return reading


async def by_service(db: Database, load: Load, *, matching: bool) -> Reading:
    """What the service makes of them; with `matching` each starts a run."""
    await _register(db.conn, matching=matching)
    slot = await copied_slot(db)
    reading = await read_by_service(db, slot, load.end)
    stored = await db.ask("select count(*) from cdc_state.events"), await db.ask("select count(*) from cdc_state.runs")
    assert stored == (load.rows + 1, matching * (load.rows + 1)), f"not one event (and run) for each row: {stored}"
    await checkpoints.retire_source(db.conn, "default")
    await db.run(f"select pg_drop_replication_slot('{slot}')")
    return reading


async def copied_slot(db: Database) -> str:
    """A copy of `base`, and empty tables to store into."""
    await db.settle("cdc_state.events", "cdc_state.runs")
    await db.run("select pg_copy_logical_replication_slot('base', 'reader')")
    return "reader"


async def _register(conn: Connection, *, matching: bool) -> None:
    """The no-op function as the only one or none at all; a worker that is never there vouches for it."""
    await conn.execute("delete from cdc_state.workers")
    if matching:
        await workers.register(conn, host="nowhere", pid=os.getpid(), functions=[_no_op.id], lease=86_400)
    await functions.register(conn, [_no_op.definition()] if matching else [])


def _figures(load: Load, readings: dict[str, list[Reading]]) -> list[Figure]:
    theirs = readings["pg_recvlogical"]
    figures: list[Figure] = []
    for name, ours in readings.items():
        what = f"{load.size:,} a transaction, {name}"
        figures += _of_reader(what, load, ours)
        if ours is not theirs:
            ratio = median(other.seconds / own.seconds for own, other in zip(ours, theirs, strict=True))
            goal = _GOALS.get((load.size, name))
            figures.append(Figure(f"{what} / pg_recvlogical", ratio, "ratio", at_least=goal))
    return figures


def _of_reader(name: str, load: Load, readings: list[Reading]) -> list[Figure]:
    def cpu(seconds: list[float]) -> float:
        return median(seconds) / load.rows * 1e6

    return [
        Figure(name, load.rows / median(reading.seconds for reading in readings), "rows/s"),
        Figure(f"{name}, its CPU", cpu([reading.own_cpu for reading in readings]), "us/row"),
        Figure(f"{name}, CPU of Postgres", cpu([reading.postgres_cpu for reading in readings]), "us/row"),
    ]
