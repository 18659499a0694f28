"""Runs a second, in one worker process and in two."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median

from tests.benchmarks.drains import Drain, drained, engine_of
from tests.benchmarks.figures import Figure
from tests.benchmarks.ground import Ground

_ROUNDS = 3


@dataclass(frozen=True, slots=True)
class _Load:
    """`count` runs of a function, by so many processes; the goal is in runs a second."""

    title: str
    function: str
    count: int
    processes: int = 1
    goal: float | None = None


async def measure(ground: Ground) -> list[Figure]:
    """Functions without a step and with three, by turns; the latter by two processes, too."""
    steps = ground.size(10_000, 1_000)
    one = _Load("three-steps", "three-steps", steps, goal=3_000)
    two = _Load("three-steps, two workers", "three-steps", steps, processes=2)
    loads = [_Load("no-op", "no-op", ground.size(20_000, 1_000), goal=8_000), one, two]
    drains: dict[_Load, list[Drain]] = {load: [] for load in loads}
    async with ground.database() as db:
        engine = await engine_of(db)
        for _ in range(1 if ground.quick else _ROUNDS):
            for load in loads:
                drains[load].append(await drained(db, engine, load.function, load.count, processes=load.processes))
    figures = [figure for load in loads for figure in _figures(load, drains[load])]
    ratio = median(b.per_second / a.per_second for a, b in zip(drains[one], drains[two], strict=True))
    return [*figures, Figure("two workers to one", ratio, "times", at_least=1.0)]


def _figures(load: _Load, drains: list[Drain]) -> list[Figure]:
    return [
        Figure(load.title, median(drain.per_second for drain in drains), "runs/s", at_least=load.goal),
        Figure(f"{load.title}, CPU of the worker", median(drain.worker_ms for drain in drains), "ms/run"),
        Figure(f"{load.title}, CPU of Postgres", median(drain.postgres_ms for drain in drains), "ms/run"),
        Figure(f"{load.title}, WAL", median(drain.bytes for drain in drains), "bytes/run"),
    ]
