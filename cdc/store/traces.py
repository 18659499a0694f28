"""What the spans of a run have that the run itself does not know."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from cdc.store.connect import Connection
from cdc.store.queries import text


class Origin(NamedTuple):
    """Where a run's trace begins: its first event, and what that came with. `replays` is the run it replays, which may
    have had another event; none is known of one that is gone.
    """

    event_id: str
    traceparent: str | None
    replays: str | None
    replayed_event_id: str | None
    replayed_traceparent: str | None


class Waited(NamedTuple):
    """A step for which its run waited in the database, or does. Times are microseconds since 1970."""

    step_id: str
    kind: str
    began: int
    ended: int | None
    error: str | None


async def origins(conn: Connection, run_ids: Sequence[str]) -> dict[str, Origin]:
    """Of these runs, as many as there are."""
    rows = await conn.execute(text("traces/origins"), {"ids": list(run_ids)})
    return {row[0]: Origin(*row[1:]) for row in await rows.fetchall()}


async def waited(conn: Connection, run_ids: Sequence[str]) -> dict[str, list[Waited]]:
    """By run, those that began first first."""
    found: dict[str, list[Waited]] = {}
    if run_ids:
        rows = await conn.execute(text("traces/waited"), {"ids": list(run_ids)})
        for run_id, *waited in await rows.fetchall():
            found.setdefault(run_id, []).append(Waited(*waited))
    return found
