"""How a run leaves the worker: one frozen outcome, recorded once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from cdc.store.journal import RunRecord
from cdc.store.runs import ClaimedRun


@dataclass(frozen=True, slots=True)
class Completed:
    """The handler returned; `output` is JSON."""

    output: str


@dataclass(frozen=True, slots=True)
class Failed:
    """The handler gave up, or was given up; `error` is JSON."""

    error: str


@dataclass(frozen=True, slots=True)
class Suspended:
    """All its pending awaits are steps that wait; it is due in `due_in` seconds, or when what it waits for comes."""

    status: Literal["queued", "sleeping", "waiting"]
    due_in: float


@dataclass(frozen=True, slots=True)
class Retry:
    """The handler itself failed and is tried again in `due_in` seconds; `counts` says whether as an attempt."""

    error: str
    due_in: float
    counts: bool


Outcome = Completed | Failed | Suspended | Retry


def record(run: ClaimedRun, outcome: Outcome, *, awaited: bool = False, took: float = 0.0) -> RunRecord:
    """What becomes of the run; its `failures` are those of the handler before this outcome.

    `awaited`: events are registered that it waits for, or that cancel it. `took`: seconds since the handler was called.
    """
    return _moved(run, outcome)._replace(holds=run.holds or awaited, kept=_kept(run, outcome), took=took)


def after_others(attempt: int) -> int:
    """The number under which an attempt that succeeded is kept; 0 when the first did, of which all is known without."""
    return attempt if attempt > 1 else 0


def _kept(run: ClaimedRun, outcome: Outcome) -> int:
    match outcome:
        case Completed():
            return after_others(run.failures + 1)
        case Suspended():
            return 0
    return run.failures + 1


def _moved(run: ClaimedRun, outcome: Outcome) -> RunRecord:
    match outcome:
        case Completed(output):
            return RunRecord(run.id, run.claims, "completed", run.failures, output=output)
        case Failed(error):
            return RunRecord(run.id, run.claims, "failed", run.failures, error=error)
        case Suspended(status, due_in):
            return RunRecord(run.id, run.claims, status, run.failures, due_in=due_in)
        case Retry(error, due_in, counts):
            return RunRecord(run.id, run.claims, "queued", run.failures + counts, error=error, due_in=due_in)
