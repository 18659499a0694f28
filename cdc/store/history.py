"""What is past: looked at a page at a time, each a short transaction of its own, and deleted where nothing needs it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import NamedTuple

from cdc.store.connect import Connection
from cdc.store.queries import text

FIRST_RUN = "00000000-0000-0000-0000-000000000000"
"""Comes before all runs."""


class EventPlace(NamedTuple):
    """Where an event stands in the order in which events were accepted."""

    accepted_at: datetime
    id: str


FIRST_EVENT = EventPlace(datetime(1970, 1, 1, tzinfo=UTC), FIRST_RUN)
"""Comes before all events."""


class SeenRun(NamedTuple):
    """A run that was looked at, and the events that it still needs; none when it was deleted."""

    id: str
    event_ids: list[str] | None


async def prune_runs(conn: Connection, after: str, limit: int, *, kept: float, looked: float) -> list[SeenRun]:
    """Look at `limit` runs after this one that were created `looked` seconds ago or earlier, and delete those that
    ended `kept` seconds ago or earlier, with their steps, logs and waits.
    """
    parameters = {"after": after, "limit": limit, "kept": kept, "looked": looked}
    return [SeenRun(*row) for row in await (await conn.execute(text("history/runs"), parameters)).fetchall()]


async def old_events(conn: Connection, after: EventPlace, limit: int, *, kept: float) -> list[EventPlace]:
    """The next `limit` events that were accepted `kept` seconds ago or earlier."""
    parameters = {"since": after.accepted_at, "after": after.id, "limit": limit, "kept": kept}
    return [EventPlace(*row) for row in await (await conn.execute(text("history/events"), parameters)).fetchall()]


async def drop_events(conn: Connection, ids: Sequence[str]) -> int:
    """Delete these events; how many. Those that were not sent on to a cluster and should have been are counted."""
    row = await (await conn.execute(text("history/drop_events"), {"ids": ids})).fetchone()
    return int(row[0]) if row else 0


async def drop_rejected(conn: Connection, limit: int, *, kept: float) -> int:
    """Delete up to `limit` events that were set aside `kept` seconds ago or earlier; how many."""
    return (await conn.execute(text("history/drop_rejected"), {"limit": limit, "kept": kept})).rowcount


async def prune_gates(conn: Connection, after: str, limit: int) -> list[str]:
    """Look at `limit` gates after this one, and delete those that count nothing any more."""
    found = await (await conn.execute(text("history/gates"), {"after": after, "limit": limit})).fetchall()
    return [row[0] for row in found]
