"""Runs with flow control, created and filled."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import orjson
import uuid_utils

from cdc.store.arrays import plain
from cdc.store.connect import Connection
from cdc.store.queries import text

Key = tuple[str, str]
"""A function's id, and the key of a singleton, a debounce or a batch."""


class OpenRun(NamedTuple):
    """A run that still takes events: how many it has, and how many seconds ago it began."""

    id: str
    events: int
    age: float


async def insert(conn: Connection, runs: Sequence[dict[str, Any]]) -> None:
    """Create runs from columns and values; see runs/insert.sql. `event_ids` are UUIDs."""
    if runs:
        rows = [{**run, "event_ids": plain(run["event_ids"])} for run in runs]
        await conn.execute(text("runs/insert"), {"runs": orjson.dumps(rows).decode()})


async def filling(conn: Connection, keys: Iterable[Key]) -> dict[Key, OpenRun]:
    """The runs that take events for these keys, locked."""
    functions, names = _columns(keys)
    cursor = await conn.execute(text("runs/filling"), {"functions": functions, "keys": names})
    return {
        (function_id, key): OpenRun(str(id_), events, age)
        for id_, function_id, key, events, age in await cursor.fetchall()
    }


async def fill(conn: Connection, runs: Sequence[dict[str, Any]]) -> None:
    """Give further events to runs; see runs/fill.sql."""
    if runs:
        rows = [{**run, "event_ids": plain(run["event_ids"])} for run in runs]
        await conn.execute(text("runs/fill"), {"runs": orjson.dumps(rows).decode()})


async def singletons(conn: Connection, keys: Iterable[Key]) -> dict[Key, list[str]]:
    """The unfinished runs of these singletons."""
    functions, names = _columns(keys)
    found: dict[Key, list[str]] = {}
    cursor = await conn.execute(text("runs/singletons"), {"functions": functions, "keys": names})
    for function_id, key, id_ in await cursor.fetchall():
        found.setdefault((function_id, key), []).append(str(id_))
    return found


def uuid(id: bytes) -> str:
    """The text of an id of 16 bytes."""
    return str(uuid_utils.UUID(bytes=id))


def _columns(keys: Iterable[Key]) -> tuple[list[str], list[str]]:
    chosen = sorted(set(keys))
    return [key[0] for key in chosen], [key[1] for key in chosen]
