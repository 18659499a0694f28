"""Runs and events as people look at them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from cdc.store import metadata, timeline
from cdc.store.choice import first_id
from cdc.store.connect import Connection
from cdc.store.listing import LOOKS, dicts, listed_runs

MOST_LINES = 1000
"""Log lines in one answer."""

_APART = timedelta(minutes=1)
"""A run's id has the time of the process that made it, an event's that of the database: their clocks may differ."""

_FILLING = timedelta(days=1)
"""How long before an event the run may have been made that gathers it with others."""


async def run(conn: Connection, run_id: str) -> dict[str, Any] | None:
    """One run with its steps, attempts, waits and log lines; None when there is no such run. See `timeline.timed`."""
    found = await row_of(conn, run_id)
    if found is None:
        return None
    return {
        **await timeline.timed(conn, found, await _steps(conn, run_id)),
        "waits": await dicts(conn, "waits/of_run", {"id": run_id}),
        "metadata": await metadata.of_run(conn, run_id),
        "logs": await dicts(conn, "logs/of_run", {"id": run_id, "limit": MOST_LINES}),
    }


async def row_of(conn: Connection, run_id: str) -> dict[str, Any] | None:
    """One run by itself; None when there is no such run."""
    found = await dicts(conn, "runs/by_id", {"id": run_id})
    return found[0] if found else None


async def steps_of(conn: Connection, run_id: str) -> list[dict[str, Any]]:
    """The steps of one run by themselves, in order."""
    return await dicts(conn, "steps/of_run", {"id": run_id})


async def is_run(conn: Connection, run_id: str) -> bool:
    """Whether there is such a run."""
    (found,) = await dicts(conn, "runs/exists", {"id": run_id})
    return bool(found["exists"])


async def _steps(conn: Connection, run_id: str) -> list[dict[str, Any]]:
    """The steps of a run, those that call models with their calls."""
    calls: dict[str, list[dict[str, Any]]] = {}
    for call in await dicts(conn, "ai_calls/of_run", {"id": run_id}):
        calls.setdefault(call.pop("step_id"), []).append(call)
    steps = await steps_of(conn, run_id)
    return [{**step, "calls": calls[step["id"]]} if step["id"] in calls else step for step in steps]


async def event(conn: Connection, event_id: str) -> dict[str, Any] | None:
    """One event; None when there is no such event."""
    found = await dicts(conn, "events/by_id", {"id": event_id})
    return _event(found[0]) if found else None


async def runs_of(conn: Connection, event: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The runs that an event started or was added to, and their replays, oldest first."""
    accepted_at = event["accepted_at"]
    parameters = {
        "id": event["id"],
        "earliest": first_id(accepted_at - _FILLING),
        "first": first_id(accepted_at - _APART),
        "middle": first_id(accepted_at),
        "last": first_id(accepted_at + _APART),
        "looks": LOOKS,
    }
    ids = [row["id"] for row in await dicts(conn, "runs/of_event", parameters)]
    return (await listed_runs(conn, ids))[::-1]


async def functions(conn: Connection) -> list[dict[str, Any]]:
    """The functions in force, by id."""
    return [_function(row) for row in await dicts(conn, "functions/listed", {"id": None})]


async def function(conn: Connection, function_id: str) -> dict[str, Any] | None:
    """One of them; None when it is not in force."""
    rows = await dicts(conn, "functions/listed", {"id": function_id})
    return _function(rows[0]) if rows else None


def _function(row: Mapping[str, Any]) -> dict[str, Any]:
    return {**row["definition"], "updated_at": row["updated_at"], "paused_at": row["paused_at"]}


def _event(row: dict[str, Any]) -> dict[str, Any]:
    given_id, user, v = row.pop("given_id"), row.pop("user_data"), row.pop("v")
    return {**row, "given_id": given_id, "user": user or {}, "v": v}
