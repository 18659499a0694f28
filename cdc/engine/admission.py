"""Which due runs find a place at their gates: concurrency limits and throttles. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from cdc.events.rules import Place, place
from cdc.store.gates import Gate
from cdc.store.runs import Candidate

Flows = Mapping[str, Mapping[str, Any]]
"""The flow control of each function, as it is stored."""


@dataclass(slots=True)
class Admission:
    """What becomes of the candidates: claimed, held at a full gate, or booked for a moment (seconds since 1970).

    `room`: places that are still free at gates which were looked at; others that stand there may be called.
    """

    admitted: list[str] = field(default_factory=list)
    held: dict[str, str] = field(default_factory=dict)
    booked: dict[str, float] = field(default_factory=dict)
    room: dict[str, int] = field(default_factory=dict)


def admit(candidates: Sequence[Candidate], gates: Mapping[str, Gate], flows: Flows) -> Admission:
    """Go through the candidates in their order, and change the gates by what they take."""
    admission = Admission()
    for run in candidates:
        places = {name: place(flows[run.function_id], name) for name in run.gates}
        full = next((name for name in run.gates if _is_full(gates[name], places[name])), None)
        throttles = {name: rate for name, rate in places.items() if rate and rate.period and run.is_new}
        moment = max((_next(gates[name], rate) for name, rate in throttles.items()), default=0.0)
        if full is not None:
            admission.held[run.id] = full
        elif any(moment > gates[name].now for name in throttles):
            admission.booked[run.id] = max(_book(gates[name], rate, moment) for name, rate in throttles.items())
        else:
            admission.admitted.append(run.id)
            _take(run, gates, throttles)
        for name, limit in places.items():
            if limit and limit.period is None:
                admission.room[name] = limit.limit - gates[name].taken
    admission.room = {name: free for name, free in admission.room.items() if free > 0}
    return admission


def _is_full(gate: Gate, limit: Place | None) -> bool:
    return limit is not None and limit.period is None and gate.taken >= limit.limit


def _take(run: Candidate, gates: Mapping[str, Gate], throttles: Mapping[str, Place]) -> None:
    for name in run.gates:
        if name in throttles:
            gates[name].free_at = max(gates[name].free_at, gates[name].now) + _interval(throttles[name])
        elif name.startswith("concurrency/"):
            gates[name].taken += 1


def _next(gate: Gate, rate: Place) -> float:
    """When the next run may start: the generic cell rate algorithm (ITU-T I.371), `free_at` its arrival time."""
    return gate.free_at - (rate.burst - 1) * _interval(rate)


def _book(gate: Gate, rate: Place, moment: float) -> float:
    """A moment of its own for each run that waits, so that it is looked at again only when it may start."""
    gate.booked_until = max(moment, gate.booked_until + _interval(rate))
    return gate.booked_until


def _interval(rate: Place) -> float:
    assert rate.period is not None, "asked of throttles only"
    return rate.period / rate.limit
