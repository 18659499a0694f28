"""What pages show in summary: plots of what was measured and counted; the latest runs, failures and calls of models.

Nothing here counts runs, events or calls: lists end after a number of rows that were looked at.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from cdc.store.connect import Connection
from cdc.store.plots import Plot, Window, line, plot
from cdc.store.queries import text
from cdc.store.tallied import ALL, bins_of

LOOKED = 2000
"""Runs that are looked at for the latest of one function, or for those that failed."""

_SAMPLE = 16_384
"""Bytes of an event that is shown as an example."""


async def measured(conn: Connection, window: Window, whats: Sequence[str]) -> dict[str, Plot]:
    """A plot for each of these kinds of gauges (`cdc.store.gauges.KINDS`), a line for each name; read at once."""
    parameters = {"whats": list(whats), "since": window.since, "step": window.step}
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
    parameters = {"function": function, "looked": LOOKED, "limit": limit}
    return [{**row, **_wrong(row.pop("error"))} for row in await _dicts(conn, "runs/failures", parameters)]


async def recent(conn: Connection, function: str, limit: int) -> list[dict[str, Any]]:
    """The latest runs of a function, newest first; none when others ran too often since."""
    return await _dicts(conn, "runs/recent", {"function": function, "looked": LOOKED, "limit": limit})


async def sample(conn: Connection, event_id: str) -> tuple[str, Any] | None:
    """Name and data of an event, as an example; None when it is gone or large."""
    row = await (await conn.execute(text("events/sample"), {"id": event_id, "most": _SAMPLE})).fetchone()
    return None if row is None or row[1] is None else (row[0], row[1])


async def function(conn: Connection, id: str) -> dict[str, Any] | None:
    """A function in force, with its definition; None when there is none."""
    found = await _dicts(conn, "functions/one", {"id": id})
    return found[0] if found else None


async def functions(conn: Connection) -> list[dict[str, Any]]:
    """The functions in force, by id, with their definitions."""
    return await _dicts(conn, "functions/listed", {})


async def calls(conn: Connection, limit: int, *, before: int | None = None) -> list[dict[str, Any]]:
    """The latest calls of models, newest first; those before the call `before`."""
    return await _dicts(conn, "ai_calls/latest", {"before": before, "limit": limit})


async def call(conn: Connection, id: int, most: int) -> dict[str, Any] | None:
    """One call with the JSON of its `prompt` and `output`, cut after `most` characters; None when there is none."""
    found = await _dicts(conn, "ai_calls/by_id", {"id": id, "most": most})
    return found[0] if found else None


def _wrong(error: Any) -> dict[str, str]:
    """Name and message of a stored error, each a line or two."""
    told = error if isinstance(error, dict) else {}
    return {"name": str(told.get("name", "Error"))[:100], "message": str(told.get("message", ""))[:400]}


async def _dicts(conn: Connection, name: str, parameters: dict[str, Any]) -> list[dict[str, Any]]:
    cursor = await conn.execute(text(name), parameters)
    names = [column.name for column in cursor.description or ()]
    return [dict(zip(names, row, strict=True)) for row in await cursor.fetchall()]
