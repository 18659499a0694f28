"""What pages show in summary: plots of what was measured and counted; the latest runs, failures and calls of models.

Nothing here counts runs, events or calls: lists end after a number of rows that were looked at.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from cdc.store import listing
from cdc.store.choice import Choice
from cdc.store.connect import Connection
from cdc.store.listing import dicts
from cdc.store.plots import Plot, Window, line, plot
from cdc.store.queries import text
from cdc.store.tallied import ALL, bins_of

_LOOKS = 10_000
"""Runs that are looked at for the latest of one function: the page of runs looks further back."""

_SAMPLE = 16_384
"""Bytes of an event that is shown as an example."""


async def measured(conn: Connection, window: Window, whats: Sequence[str]) -> dict[str, Plot]:
    """A plot for each of these kinds of gauges (`cdc.store.gauges.KINDS`), a line for each name; read at once."""
    parameters = {"whats": list(whats), "since": window.since, "step": window.step, "width": window.width}
    found: dict[str, dict[str, dict[int, float]]] = {what: {} for what in whats}
    for what, name, number, value in await (await conn.execute(text("gauges/many"), parameters)).fetchall():
        found[what].setdefault(name, {})[number] = value
    return {
        what: plot(window, [line(name, window, values, None) for name, values in sorted(names.items())])
        for what, names in found.items()
    }


async def throughput(conn: Connection, window: Window, functions: Sequence[str]) -> dict[str, list[float | None]]:
    """Runs that started in each step, by function."""
    bins = await bins_of(conn, window, ["started"], functions)
    return {each: line(each, window, bins.get(("started", each), {})).values for each in functions}


async def calls_over_time(conn: Connection, window: Window) -> Plot:
    """Calls of models in each step: those that were `answered`, and those that `failed`."""
    bins = await bins_of(conn, window, ["call", "call_failed"], [ALL])
    lines = {"answered": "call", "failed": "call_failed"}
    return plot(window, [line(name, window, bins.get((what, ALL), {})) for name, what in lines.items()])


async def failures(conn: Connection, limit: int, *, function: str | None = None) -> list[dict[str, Any]]:
    """The latest runs that failed, newest first, with the `name` and `message` of what was wrong."""
    choice = Choice(functions=[function] if function else None, statuses=["failed"])
    return [{**row, **_wrong(row["error"])} for row in (await listing.runs(conn, choice, limit, most=_LOOKS)).rows]


async def recent(conn: Connection, function: str, limit: int) -> list[dict[str, Any]]:
    """The latest runs of a function, newest first; those that are found with a bounded amount of work."""
    return (await listing.runs(conn, Choice(functions=[function]), limit, most=_LOOKS)).rows


async def sample(conn: Connection, run_id: str) -> Any:
    """The data of the event that a run was given, as an example; None when it is gone or large."""
    row = await (await conn.execute(text("events/sample"), {"run_id": run_id, "most": _SAMPLE})).fetchone()
    return None if row is None else row[0]


async def function(conn: Connection, id: str) -> dict[str, Any] | None:
    """A function in force, with its definition; None when there is none."""
    found = await dicts(conn, "functions/listed", {"id": id})
    return found[0] if found else None


async def functions(conn: Connection) -> list[dict[str, Any]]:
    """The functions in force, by id, with their definitions."""
    return await dicts(conn, "functions/listed", {"id": None})


async def calls(conn: Connection, limit: int, *, before: int | None = None) -> list[dict[str, Any]]:
    """The latest calls of models, newest first; those before the call `before`."""
    return await dicts(conn, "ai_calls/latest", {"before": before, "limit": limit})


async def call(conn: Connection, id: int, most: int) -> dict[str, Any] | None:
    """One call with the JSON of its `prompt` and `output`, cut after `most` characters; None when there is none."""
    found = await dicts(conn, "ai_calls/by_id", {"id": id, "most": most})
    return found[0] if found else None


def _wrong(error: Any) -> dict[str, str]:
    """Name and message of a stored error, each a line or two."""
    told = error if isinstance(error, dict) else {}
    return {"name": str(told.get("name", "Error"))[:100], "message": str(told.get("message", ""))[:400]}
