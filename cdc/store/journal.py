"""The journal's one statement, and the records it takes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from cdc.store.arrays import plain, quoted
from cdc.store.connect import Connection
from cdc.store.queries import text


class StepRecord(NamedTuple):
    """What becomes of a step. `data`, `error` and `input` are JSON; `took` and `wake_in` are seconds.

    A step that has not `ended` waits for another attempt, or sleeps until `wake_at` or for `wake_in`. `kept` is the
    number of the attempt that it tells of, where that failed or succeeded after others: it goes to cdc_state.attempts.
    """

    run_id: str
    id: str
    kind: str = "run"
    attempts: int = 0
    data: str | None = None
    error: str | None = None
    wake_at: datetime | None = None
    wake_in: float | None = None
    took: float = 0.0
    ended: bool = False
    input: str | None = None
    kept: int = 0


class LogRecord(NamedTuple):
    """A line that a run told its logger; `fields` is JSON, `place` where in the handler it was told."""

    run_id: str
    place: str | None
    level: str
    line: str
    fields: str


@dataclass(frozen=True, slots=True)
class Written:
    """What came of a write; nothing when the worker is not `alive`, that is, has lost its lease.

    `woken`: what some run began to wait for had come already; it is due. `unmoved`: runs that belong to this worker no
    more, because they were cancelled, say. `steps`: how many were recorded; a step that is recorded already is not.
    `version`: of the registry.
    """

    alive: bool
    woken: bool = False
    unmoved: frozenset[str] = frozenset()
    steps: int = 0
    version: int = -1

    def __bool__(self) -> bool:
        return self.alive


class RunRecord(NamedTuple):
    """What becomes of a run. `output` and `error` are JSON; `due_in` is seconds until it may be claimed again.

    `claims` tells which claim this is the outcome of: that of an earlier one moves nothing. `kept`: as of a step, of an
    attempt of the handler that was called `took` seconds ago.
    """

    id: str
    claims: int
    status: str
    failures: int
    output: str | None = None
    error: str | None = None
    due_in: float | None = None
    holds: bool = False
    """Whether it has places or a turn, or others wait for its end: `ending.settle` follows."""
    kept: int = 0
    took: float = 0.0


# Each parameter and how its array is written, in the order of the records' fields.
_STEP = {
    "step_run_ids": plain,
    "step_ids": quoted,
    "kinds": plain,
    "attempts": plain,
    "data": quoted,
    "errors": quoted,
    "wake_ats": quoted,
    "wake_ins": plain,
    "tooks": plain,
    "endeds": plain,
    "inputs": quoted,
}
_RUN = {
    "run_ids": plain,
    "run_claims": plain,
    "statuses": plain,
    "failures": plain,
    "outputs": quoted,
    "run_errors": quoted,
    "due_ins": plain,
}
_KEPT = {"kept_run_ids": plain, "kept_step_ids": quoted, "kept": plain, "kept_errors": quoted, "kept_tooks": plain}


async def write(conn: Connection, worker_id: int, steps: Sequence[StepRecord], runs: Sequence[RunRecord]) -> Written:
    """Record steps and move runs in one statement."""
    kept = [(step.run_id, step.id, step.kept, step.error, step.took) for step in steps if step.kept]
    kept += [(run.id, "", run.kept, run.error, run.took) for run in runs if run.kept]
    parameters = {"worker_id": worker_id, **_columns(_STEP, steps), **_columns(_RUN, runs), **_columns(_KEPT, kept)}
    row = await (await conn.execute(text("journal/write"), parameters)).fetchone()
    if row is None:
        return Written(alive=False)
    woken, unmoved, recorded, version = row
    return Written(True, woken, frozenset(unmoved), recorded, version)


async def write_logs(conn: Connection, lines: Sequence[LogRecord]) -> None:
    """Keep lines that runs told their loggers."""
    if lines:
        columns = {"run_ids": plain, "places": quoted, "levels": plain, "lines": quoted, "fields": quoted}
        await conn.execute(text("logs/insert"), _columns(columns, lines))


async def told(conn: Connection, run_ids: Sequence[str]) -> dict[str, dict[str, int]]:
    """How many lines of these runs are kept, by run and place."""
    found: dict[str, dict[str, int]] = {}
    if run_ids:
        cursor = await conn.execute(text("logs/told"), {"ids": list(run_ids)})
        for run_id, place, lines in await cursor.fetchall():
            found.setdefault(run_id, {})[place] = lines
    return found


def _columns(
    arrays: Mapping[str, Callable[[Iterable[object]], str]], records: Sequence[tuple[object, ...]]
) -> dict[str, str]:
    """Of as many of the records' fields as there are arrays, from the first on."""
    columns: Iterable[Iterable[object]] = zip(*records, strict=True) if records else [()] * len(arrays)
    return {name: array(column) for (name, array), column in zip(arrays.items(), columns, strict=False)}
