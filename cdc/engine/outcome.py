"""How a run leaves the worker: one frozen outcome, recorded once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import orjson


@dataclass(frozen=True, slots=True)
class Completed:
    """The handler returned; `output` is JSON."""

    output: bytes


@dataclass(frozen=True, slots=True)
class Failed:
    """The handler gave up, or was given up."""

    error: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Suspended:
    """All its pending awaits are steps that wait; it is due again in `due_in` seconds."""

    status: Literal["queued", "sleeping"]
    due_in: float


@dataclass(frozen=True, slots=True)
class Retry:
    """The handler itself failed and is tried again in `due_in` seconds."""

    error: dict[str, Any]
    due_in: float


Outcome = Completed | Failed | Suspended | Retry


def record(run_id: str, failures: int, outcome: Outcome) -> dict[str, Any]:
    """The run's new state, as sql/queries/journal/write.sql takes it."""
    state: dict[str, Any]
    match outcome:
        case Completed(output):
            state = {"status": "completed", "output": orjson.Fragment(output)}
        case Failed(error):
            state = {"status": "failed", "error": error}
        case Suspended(status, due_in):
            state = {"status": status, "due_in": due_in}
        case Retry(error, due_in):
            state = {"status": "queued", "error": error, "due_in": due_in}
            failures += 1
    return {"id": run_id, "failures": failures, **state}
