"""Runs and events as people look at them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from cdc.store import timeline
from cdc.store.choice import Choice, first_id
from cdc.store.connect import Connection
from cdc.store.queries import text

MOST_LINES = 1000
"""Log lines in one answer."""

_APART = timedelta(minutes=1)
"""A run's id has the time of the process that made it, an event's that of the database: their clocks may differ."""

_FILLING = timedelta(days=1)
"""How long before an event the run may have been made that gathers it with others."""


async def runs(conn: Connection, choice: Choice, limit: int, *, before: str | None = None) -> list[dict[str, Any]]:
    """The latest runs of a choice, newest first; those older than the run `before`."""
    return await _dicts(conn, "runs/latest", {**choice.parameters(), "before": before, "limit": limit})


async def run(conn: Connection, run_id: str) -> dict[str, Any] | None:
    """One run with its steps, attempts, waits and log lines; None when there is no such run. See `timeline.timed`."""
    found = await _dicts(conn, "runs/by_id", {"id": run_id})
    if not found:
        return None
    return {
        **await timeline.timed(conn, found[0], await _steps(conn, run_id)),
        "waits": await _dicts(conn, "waits/of_run", {"id": run_id}),
        "logs": await _dicts(conn, "logs/of_run", {"id": run_id, "limit": MOST_LINES}),
    }


async def _steps(conn: Connection, run_id: str) -> list[dict[str, Any]]:
    """The steps of a run, those that call models with their calls."""
    calls: dict[str, list[dict[str, Any]]] = {}
    for call in await _dicts(conn, "ai_calls/of_run", {"id": run_id}):
        calls.setdefault(call.pop("step_id"), []).append(call)
    steps = await _dicts(conn, "steps/of_run", {"id": run_id})
    return [{**step, "calls": calls[step["id"]]} if step["id"] in calls else step for step in steps]


async def events(conn: Connection, limit: int, *, name: str | None = None) -> list[dict[str, Any]]:
    """The latest events as people see them, newest first."""
    return [_event(row) for row in await _dicts(conn, "events/latest", {"name": name, "limit": limit})]


async def event(conn: Connection, event_id: str) -> dict[str, Any] | None:
    """One event; None when there is no such event."""
    found = await _dicts(conn, "events/by_id", {"id": event_id})
    return _event(found[0]) if found else None


async def runs_of(conn: Connection, event: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The runs that an event started or was added to, and their replays, oldest first."""
    accepted_at = event["accepted_at"]
    parameters = {
        "id": event["id"],
        "earliest": first_id(accepted_at - _FILLING),
        "first": first_id(accepted_at - _APART),
        "last": first_id(accepted_at + _APART),
    }
    return await _dicts(conn, "runs/of_event", parameters)


async def functions(conn: Connection) -> list[dict[str, Any]]:
    """The functions in force, by id."""
    rows = await _dicts(conn, "functions/listed", {})
    return [{**row["definition"], "updated_at": row["updated_at"], "paused_at": row["paused_at"]} for row in rows]


def _event(row: dict[str, Any]) -> dict[str, Any]:
    given_id, user, v = row.pop("given_id"), row.pop("user_data"), row.pop("v")
    return {**row, "given_id": given_id, "user": user or {}, "v": v}


async def _dicts(conn: Connection, name: str, parameters: dict[str, Any]) -> list[dict[str, Any]]:
    cursor = await conn.execute(text(name), parameters)
    names = [column.name for column in cursor.description or ()]
    return [dict(zip(names, row, strict=True)) for row in await cursor.fetchall()]
