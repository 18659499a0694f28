"""The same workloads on ours and on the peers, by turns, each in a database of its own on one server."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from statistics import median

from tests.benchmarks import cpu, latency
from tests.benchmarks.drains import Drain, drained, engine_of
from tests.benchmarks.figures import Figure, percentile
from tests.benchmarks.ground import Database, Ground
from tests.benchmarks.peers.peer import PEERS, Line, Peer, started
from tests.waiting import eventually

OURS = "cdc"
_ROUNDS = 3
_PER_SECOND = 50
_SIZES = {"no-op": 20_000, "three-steps": 10_000}
_QUICK = 50
"""What a quick run divides all sizes by."""

_DBOS_RATIO = {"three-steps": 30.0}
"""How many times DBOS's rate ours should be."""

_QUANTITIES: tuple[tuple[str, str, Callable[[Drain], float]], ...] = (
    ("runs a second", "runs/s", lambda drain: drain.per_second),
    ("CPU of the worker for 1,000 runs", "s", lambda drain: drain.worker_ms),
    ("CPU of Postgres for 1,000 runs", "s", lambda drain: drain.postgres_ms),
    ("WAL a run", "bytes", lambda drain: drain.bytes),
)


async def workload(ground: Ground, name: str) -> list[Figure]:
    """Rates and costs of a workload that was queued beforehand."""
    drains: dict[str, list[Drain]] = {OURS: [], **{peer.name: [] for peer in PEERS}}
    async with ground.database() as db:
        engine = await engine_of(db)
        for _ in range(1 if ground.quick else _ROUNDS):
            drains[OURS].append(await drained(db, engine, name, ground.size(_SIZES[name], _SIZES[name] // _QUICK)))
            for peer in PEERS:
                drains[peer.name].append(await _drained(ground, peer, name))
    return [figure for what, unit, value in _QUANTITIES for figure in _compared(name, what, unit, drains, value)]


async def latencies(ground: Ground) -> list[Figure]:
    """From COMMIT, or from the end of the call that queues, to the handler's first line, at 50 a second."""
    count = ground.size(500, 50)
    seconds: dict[str, list[float]] = {OURS: [], **{peer.name: [] for peer in PEERS}}
    for _ in range(1 if ground.quick else _ROUNDS):
        async with ground.database() as db:
            seconds[OURS] += (await latency.arrivals(db, count, per_second=_PER_SECOND)).to_start
        for peer in PEERS:
            seconds[peer.name] += await _arrivals(ground, peer, count)
    goals = {50: 10.0, 99: 50.0}
    return [
        Figure(f"{name}, p{percent}", percentile(taken, percent) * 1000, "ms", at_most=goal if name == OURS else None)
        for percent, goal in goals.items()
        for name, taken in seconds.items()
    ]


def _compared(
    name: str, what: str, unit: str, drains: dict[str, list[Drain]], value: Callable[[Drain], float]
) -> list[Figure]:
    """Each engine's median, and the median of the rounds' ratios."""
    of_rounds = {engine: [value(drain) for drain in rounds] for engine, rounds in drains.items()}
    figures = [Figure(f"{engine}, {what}", median(values), unit) for engine, values in of_rounds.items()]
    for peer in PEERS:
        pairs = zip(of_rounds[OURS], of_rounds[peer.name], strict=True)
        ratio = median(ours / theirs if theirs else 0.0 for ours, theirs in pairs)
        goal = _DBOS_RATIO.get(name) if peer.name == "DBOS" and unit == "runs/s" else None
        figures.append(Figure(f"{OURS} to {peer.name}, {what}", ratio, "times", at_least=goal))
    return figures


async def _drained(ground: Ground, peer: Peer, name: str) -> Drain:
    """As ours; the clock runs from the first handler's begin, so that no peer pays for its start-up."""
    count = ground.size(peer.sizes[name], peer.sizes[name] // _QUICK)
    async with _database(ground, peer) as (db, sender):
        written = -await db.written()
        await sender.ask("enqueue", workload=name, count=count)
        async with started(peer, db.url) as worker:
            await worker.ask("work")
            began = time.perf_counter()
            with cpu.spent(worker=worker.pid, postgres=db.postmaster) as used:
                await db.until(peer.drained, count)
            seconds = time.perf_counter() - began
        return Drain(count, seconds, used["worker"], used["postgres"], written + await db.written())


async def _arrivals(ground: Ground, peer: Peer, count: int) -> list[float]:
    """Seconds of each."""
    warming_up = latency.WARMING_UP
    async with _database(ground, peer) as (db, sender), started(peer, db.url) as worker:
        await sender.ask("enqueue", workload="arrival", count=1)
        await worker.ask("work")
        await sender.ask("send", first=1, count=warming_up, per_second=_PER_SECOND)
        answer = await sender.ask("send", first=1 + warming_up, count=count, per_second=_PER_SECOND)
        begun = await eventually(lambda: _begun(worker, 1 + warming_up + count), what="all handlers began")
    return [begun[number] - sent for number, sent in answer["sent"].items()]


async def _begun(worker: Line, count: int) -> dict[str, float]:
    """When each handler began, once they are so many."""
    begun: dict[str, float] = (await worker.ask("begun"))["begun"]
    return begun if len(begun) >= count else {}


@asynccontextmanager
async def _database(ground: Ground, peer: Peer) -> AsyncIterator[tuple[Database, Line]]:
    """A fresh database with the peer's schema, and a process of it that queues."""
    async with ground.database() as db, started(peer, db.url) as sender:
        await sender.ask("prepare")
        await db.settle()
        yield db, sender
