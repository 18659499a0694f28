"""The same WAL to our service, which stores each row as an event, and to Debezium's engine, which keeps nothing.

Each reads a copy of one slot, by turns. Ours is a fresh process whose clock begins with "listening". Debezium's is one
process for all rounds that has read the same WAL before, so that Java has compiled it; its clock and its CPU begin when
the first batch is through, and so does its count.
"""

from __future__ import annotations

from statistics import median
from typing import NamedTuple

from tests.benchmarks import cpu, memory, rows
from tests.benchmarks.figures import Figure
from tests.benchmarks.ground import Database, Ground
from tests.benchmarks.peers.peer import DEBEZIUM, Line, started
from tests.benchmarks.wal import Load, by_service, copied_slot, loaded

_OURS = "cdc"
_SIZE = 100
_ROUNDS = 3
_WARMING_UP = 6
"""How often Debezium's engine reads everything beforehand: its rate grows threefold to sixfold meanwhile."""

_GOAL = 1.5
_LET_GO = "select not active from pg_replication_slots where slot_name = %s"


class _Pace(NamedTuple):
    """What reading came to: CPU in us a row, memory in MB."""

    per_second: float
    own_cpu: float
    postgres_cpu: float
    peak: float


_UNITS = {"rows a second": "rows/s", "its CPU": "us/row", "CPU of Postgres": "us/row", "most memory": "MB"}


async def wal(ground: Ground) -> list[Figure]:
    """Rows of about 200 bytes in transactions of 100."""
    paces: dict[str, list[_Pace]] = {_OURS: [], DEBEZIUM.name: []}
    async with ground.database() as db:
        await db.run(*rows.PUBLISHED)
        load = await loaded(db, _SIZE, ground.size(100_000, 2_000))
        async with started(DEBEZIUM, db.url) as engine:
            warming_up = [await _by_debezium(db, engine, load) for _ in range(ground.size(_WARMING_UP, 1))]
            for _ in range(ground.size(_ROUNDS, 1)):
                paces[_OURS].append(await _by_ours(db, load))
                paces[DEBEZIUM.name].append(await _by_debezium(db, engine, load))
    figures = [figure for name, of_rounds in paces.items() for figure in _figures(name, of_rounds)]
    cold = Figure(f"{DEBEZIUM.name}, rows a second when it reads first", warming_up[0].per_second, "rows/s")
    return [*figures, cold, _ratio(paces)]


async def _by_ours(db: Database, load: Load) -> _Pace:
    reading = await by_service(db, load, matching=False)
    return _pace(load.rows, reading.seconds, reading.own_cpu, reading.postgres_cpu, reading.peak)


async def _by_debezium(db: Database, engine: Line, load: Load) -> _Pace:
    slot = await copied_slot(db)
    await engine.ask("read", slot=slot, rows=load.rows)
    with cpu.spent(own=engine.pid, postgres=db.postmaster) as used:
        passed = await engine.ask("passed")
    await engine.ask("stop")
    await db.until(_LET_GO, slot)
    await db.run(f"select pg_drop_replication_slot('{slot}')")
    return _pace(passed["rows"], passed["seconds"], used["own"], used["postgres"], memory.peak(engine.pid))


def _pace(count: int, seconds: float, own_cpu: float, postgres_cpu: float, peak: int) -> _Pace:
    return _Pace(count / seconds, own_cpu / count * 1e6, postgres_cpu / count * 1e6, peak / 1e6)


def _figures(name: str, of_rounds: list[_Pace]) -> list[Figure]:
    """Medians."""
    return [
        Figure(f"{name}, {what}", median(values), unit)
        for (what, unit), values in zip(_UNITS.items(), zip(*of_rounds, strict=True), strict=True)
    ]


def _ratio(paces: dict[str, list[_Pace]]) -> Figure:
    """The median of the rounds' ratios."""
    pairs = zip(paces[_OURS], paces[DEBEZIUM.name], strict=True)
    ratio = median(ours.per_second / theirs.per_second for ours, theirs in pairs)
    return Figure(f"{_OURS} to {DEBEZIUM.name}, rows a second", ratio, "times", at_least=_GOAL)
