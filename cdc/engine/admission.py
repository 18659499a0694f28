"""Which due runs find a place at their gates: concurrency limits and throttles. Pure.

A run stands at one gate that is full or closed for it. Whoever looks at a gate that has room calls as many of those who
stand there, so that none is forgotten. But when a function's runs all need one more gate (a limit without a key) and
that one is full, calling them would only move them from gate to gate: they stay, and go on with those who stand there.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from cdc.events.rules import Place, places
from cdc.store.gates import Gate
from cdc.store.runs import Candidate, Standing

Flows = Mapping[str, Mapping[str, Any]]
"""The flow control of each function, as it is stored."""

Calls = dict[tuple[str, str], int]
"""How many of a function's runs that stand at a gate may be called, by gate and function."""

_LATE = 2.0
"""Seconds after which a run that was booked is taken for lost."""

_ALL = 1000
"""Runs called at once from a gate that limits nothing any more."""


@dataclass(slots=True)
class Admission:
    """What becomes of the candidates: claimed, held at a gate, or booked for a moment (seconds since 1970).

    `calls`: others that stand at these gates and may find a place.
    """

    admitted: list[str] = field(default_factory=list)
    held: dict[str, str] = field(default_factory=dict)
    booked: dict[str, float] = field(default_factory=dict)
    calls: Calls = field(default_factory=dict)


def admit(candidates: Sequence[Candidate], gates: Mapping[str, Gate], flows: Flows) -> Admission:
    """Go through the candidates in their order, and change the gates by what they take."""
    admission = Admission()
    seen: dict[tuple[str, str], Place | None] = {}
    for run in candidates:
        allowed = places(flows[run.function_id], run.gates)
        seen.update({(name, run.function_id): place for name, place in allowed.items()})
        rates = {name: place for name, place in allowed.items() if place and place.period and run.is_new}
        full = _full(allowed, gates)
        closed = next((name for name, rate in rates.items() if _opens(gates[name], rate) > gates[name].now), None)
        if full is not None:
            admission.held[run.id] = full
        elif closed is None:
            admission.admitted.append(run.id)
            _take(run, gates, rates)
        elif gates[closed].booked_until > gates[closed].now:
            admission.held[run.id] = closed
        else:
            moment = _opens(gates[closed], rates[closed])
            gates[closed].booked_until = admission.booked[run.id] = moment
    admission.calls = _calls(seen, gates)
    return admission


def recall(standing: Iterable[Standing], gates: Mapping[str, Gate], flows: Flows) -> Calls:
    """Whom to call of those who stand at gates, of each function the first at each gate; nobody else has called them.

    A call may get lost with the run that was called: paused, or of a function that no worker has. And limits change.
    """
    calls: Calls = {}
    for run in standing:
        allowed = places(flows[run.function_id], run.gates)
        others = {name: place for name, place in allowed.items() if name != run.held_at}
        if _full(others, gates) is None and not any(place and _is_shut(gates[n], place) for n, place in others.items()):
            gate, place = gates[run.held_at], allowed.get(run.held_at)
            if place is None or place.period is None or gate.booked_until + _LATE < gate.now:
                calls[run.held_at, run.function_id] = _room(gate, place)
    return {name: count for name, count in calls.items() if count > 0}


def _full(allowed: Mapping[str, Place | None], gates: Mapping[str, Gate]) -> str | None:
    """The gate where a run has to stand: with a key rather than one that all runs need, for it concerns fewer."""
    full = [(place.is_common, name) for name, place in allowed.items() if place and _is_full(gates[name], place)]
    return min(full)[1] if full else None


def _calls(seen: Mapping[tuple[str, str], Place | None], gates: Mapping[str, Gate]) -> Calls:
    stuck = {
        function
        for (name, function), place in seen.items()
        if place and place.is_common and _is_shut(gates[name], place)
    }
    calls = {
        (name, function): _room(gates[name], place) for (name, function), place in seen.items() if function not in stuck
    }
    return {name: count for name, count in calls.items() if count > 0}


def _room(gate: Gate, place: Place | None) -> int:
    """How many of those who stand at this gate may come now; at a throttle at least one, to be booked."""
    if place is None:
        return _ALL
    if place.period is None:
        return place.limit - gate.taken
    if gate.booked_until > gate.now:
        return 0
    ahead = max(0.0, gate.free_at - gate.now) / _interval(place)
    return max(1, place.burst - math.ceil(ahead))


def _is_full(gate: Gate, place: Place) -> bool:
    return place.period is None and gate.taken >= place.limit


def _is_shut(gate: Gate, place: Place) -> bool:
    """Whether nobody needs to come: it is full, or closed and somebody is booked for the moment when it opens."""
    return _is_full(gate, place) or (place.period is not None and gate.booked_until > gate.now)


def _take(run: Candidate, gates: Mapping[str, Gate], rates: Mapping[str, Place]) -> None:
    for name in run.gates:
        if name in rates:
            gates[name].free_at = max(gates[name].free_at, gates[name].now) + _interval(rates[name])
        elif name.startswith("concurrency/"):
            gates[name].taken += 1


def _opens(gate: Gate, rate: Place) -> float:
    """When the next run may start: the generic cell rate algorithm (ITU-T I.371), `free_at` its arrival time."""
    return gate.free_at - (rate.burst - 1) * _interval(rate)


def _interval(rate: Place) -> float:
    assert rate.period is not None, "asked of throttles only"
    return rate.period / rate.limit
