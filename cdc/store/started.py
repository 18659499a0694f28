"""What became of events: the runs that they started, in a few words for each."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from cdc.store.choice import first_id
from cdc.store.connect import Connection
from cdc.store.queries import text

MOST = 5000
"""Runs that are looked at."""

_APART = timedelta(minutes=1)
"""A run's id has the time of the process that made it, an event's that of the database: their clocks may differ."""


class Accepted(NamedTuple):
    """An event, and when it was accepted."""

    id: str
    at: datetime


async def started(conn: Connection, events: Sequence[Accepted]) -> dict[str, dict[str, int]]:
    """By event, how many runs it started, by their status; nothing where too many runs were made at that time."""
    if not events:
        return {}
    times = [event.at for event in events]
    parameters = {
        "ids": [event.id for event in events],
        "first": first_id(min(times), -_APART),
        "last": first_id(max(times), _APART),
        "most": MOST,
    }
    found: dict[str, dict[str, int]] = {}
    for id_, status, count in await (await conn.execute(text("runs/started"), parameters)).fetchall():
        found.setdefault(id_, {})[status] = count
    return found
