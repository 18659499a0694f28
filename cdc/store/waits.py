"""Waits: what runs wait for, and what cancels them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from cdc.authoring.event import Event
from cdc.store.connect import Connection
from cdc.store.events import seen
from cdc.store.json import document
from cdc.store.queries import text


class WaitRecord(NamedTuple):
    """A wait to register; see `cdc_state.waits`. `timeout` and `since`, its age, are seconds.

    `claimed_at` is when its run was claimed, in seconds since 1970 by the database's clock: what came before that is
    known to the run, or none of its business.
    """

    run_id: str
    id: str
    cancels: bool
    event: str
    path: str | None
    value: str | None
    expression: str | None
    context: dict[str, Any]
    timeout: float | None
    since: float = 0.0
    claimed_at: float = 0.0


class Wait(NamedTuple):
    """A registered wait that an event may fulfil."""

    run_id: str
    id: str
    cancels: bool
    event: str
    path: str | None
    value: str | None
    expression: str | None
    context: dict[str, Any] | None


class Fulfilled(NamedTuple):
    """A wait of a step and the event that it waited for."""

    run_id: str
    id: str
    event: Event


async def lock_names(conn: Connection, *, accepted: Iterable[str], awaited: Iterable[str] = ()) -> None:
    """Begin to accept events of these names, or to register waits for them, in the caller's transaction."""
    parameters = {"shared": list(set(accepted)), "exclusive": list(set(awaited))}
    await conn.execute(text("events/lock_names"), parameters)


async def register(conn: Connection, waits: Sequence[WaitRecord]) -> list[tuple[str, str]]:
    """Register waits; those that are registered already, answered, or of runs that have ended are left as they are.

    Returns (run, step) of those that wait for a signal that another step waits for: they are not registered.
    """
    records = [{**wait._asdict(), "context": document(wait.context)} for wait in waits]
    cursor = await conn.execute(text("waits/register"), {"waits": document(records)})
    return [(run_id, step_id) for run_id, step_id in await cursor.fetchall()]


async def forget(conn: Connection, run_ids: Sequence[str]) -> None:
    """Forget what would cancel these runs."""
    await conn.execute(text("waits/forget"), {"ids": run_ids})


async def paths(conn: Connection, names: Iterable[str]) -> list[tuple[str, str | None]]:
    """By which fields waits for these events are found; nothing when nobody waits for them."""
    return [
        (event, path)
        for event, path in await (await conn.execute(text("waits/paths"), {"names": list(names)})).fetchall()
    ]


async def matching(conn: Connection, values: Iterable[tuple[str, str | None, str | None]]) -> list[Wait]:
    """The waits that may be fulfilled by events with these (name, path, value)."""
    events, paths_, values_ = (list(column) for column in zip(*sorted(set(values), key=str), strict=True))
    cursor = await conn.execute(text("waits/matching"), {"events": events, "paths": paths_, "values": values_})
    return [Wait(*row) for row in await cursor.fetchall()]


async def fulfil(conn: Connection, fulfilled: Sequence[Fulfilled]) -> int:
    """Give each step its event; how many runs go on."""
    parameters = {
        "run_ids": [each.run_id for each in fulfilled],
        "ids": [each.id for each in fulfilled],
        "data": [document(each.event.as_dict()) for each in fulfilled],
    }
    return (await conn.execute(text("waits/fulfil"), parameters)).rowcount


async def missed(conn: Connection, names: Iterable[str], since: float) -> list[tuple[Event, float]]:
    """Events of these names accepted at `since` (seconds since 1970) or later, oldest first, each with that moment."""
    cursor = await conn.execute(text("waits/missed"), {"names": list(names), "since": since})
    return [(seen(*stored), accepted_at) for *stored, accepted_at in await cursor.fetchall()]


async def awaited(conn: Connection, event: str) -> str | None:
    """The run that waits for this event, if any does."""
    row = await (await conn.execute(text("waits/awaited"), {"event": event})).fetchone()
    return None if row is None else str(row[0])


async def drop(conn: Connection, run_ids: Sequence[str]) -> None:
    """Forget the waits of those of these runs that have ended."""
    await conn.execute(text("waits/drop"), {"ids": run_ids})
