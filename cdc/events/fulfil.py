"""Events meet the waits of runs: steps go on with what they waited for, and runs are cancelled by what cancels them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from cdc.authoring.event import Event
from cdc.authoring.expressions import Expression, at, canonical
from cdc.store import runs, waits
from cdc.store.connect import Connection
from cdc.store.events import Incoming
from cdc.store.waits import Fulfilled, Wait, WaitRecord

_TAKEN = {"name": "SignalTaken", "message": "another step waits for this signal already; give each its own name"}


Value = tuple[str, str | None, str | None]
"""The name of an event, a field of it, and what is there; without a field, what every event of the name has."""


class Met(NamedTuple):
    """What the events of one accept met."""

    fulfilled: list[Fulfilled]
    cancelled: dict[str, Event]
    """The runs to cancel, each with the event that does."""


async def meet(conn: Connection, incoming: Sequence[Incoming], begun: Mapping[str, bytes]) -> Met:
    """Find what these events fulfil and cancel; the caller writes it.

    `begun` are runs of this same accept, with the event that each began with: what came before cancels them not.
    """
    paths: dict[str, list[str | None]] = {}
    for name, path in await waits.paths(conn, {event.name for event in incoming}):
        paths.setdefault(name, []).append(path)
    if not paths:
        return Met([], {})
    by_value: dict[Value, list[tuple[int, Event]]] = {}
    for place, arrived in enumerate(incoming):
        if arrived.name in paths:
            seen = arrived.as_event()
            for value in _values(seen, paths):
                by_value.setdefault(value, []).append((place, seen))
    order = {arrived.id: place for place, arrived in enumerate(incoming)} if begun else {}
    met = Met([], {})
    for wait in await waits.matching(conn, by_value):
        first = order[begun[wait.run_id]] if wait.run_id in begun else -1
        candidates = by_value.get((wait.event, wait.path, wait.value), ())
        event = next((each for place, each in candidates if place > first and fulfils(each, wait)), None)
        if event is None:
            continue
        if wait.cancels:
            met.cancelled.setdefault(wait.run_id, event)
        else:
            met.fulfilled.append(Fulfilled(wait.run_id, wait.id, event))
    return met


async def catch_up(conn: Connection, registered: Sequence[WaitRecord], asked: Sequence[float]) -> int:
    """Register waits, and fulfil them with events accepted since their steps `asked`; how many runs go on.

    Moments are seconds since 1970 by the database's clock. The caller has locked the names of these events.
    """
    taken = [(*each, _TAKEN) for each in await waits.register(conn, registered)]
    woken = await runs.refuse_steps(conn, taken) if taken else 0
    seen = await waits.missed(conn, {wait.event for wait in registered}, min(asked))
    fulfilled = []
    for wait, since in zip(registered, asked, strict=True):
        event = next((each for each, at in seen if at >= since and fulfils(each, wait)), None)
        if event is not None and (wait.run_id, wait.id, _TAKEN) not in taken:
            fulfilled.append(Fulfilled(wait.run_id, wait.id, event))
    return woken + (await waits.fulfil(conn, fulfilled) if fulfilled else 0)


def fulfils(event: Event, wait: Wait | WaitRecord) -> bool:
    """Whether this event is what the wait is for."""
    if wait.event != event.name:
        return False
    if wait.expression is None:
        return True
    seen = event.as_dict()
    if wait.path is not None and canonical(at(wait.path, seen)) != wait.value:
        return False
    return Expression.compile(wait.expression, of=("event", "async")).holds(wait.context or {}, seen)


def _values(event: Event, paths: Mapping[str, Iterable[str | None]]) -> Iterable[Value]:
    seen = event.as_dict()
    for path in paths[event.name]:
        yield event.name, path, None if path is None else canonical(at(path, seen))
