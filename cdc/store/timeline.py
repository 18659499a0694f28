"""When what happened in a run: its attempts and those of its steps, what they wait for, and the runs beside it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from psycopg.rows import dict_row

from cdc.store.connect import Connection
from cdc.store.queries import text

MOST_RELATED = 1000
"""Runs that one invoked, or that replay it, in one answer."""

_TRIED = ("run", "wrap", "infer")
"""Kinds of steps that are attempted."""

_HANDLER = ""


async def timed(conn: Connection, run: Mapping[str, Any], steps: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """A run as `runs/by_id` has it, with `steps` and with what a timeline shows.

    It and its steps have their `attempts`, each with `attempt`, `started_at`, `ended_at` (None: under way) and `error`
    (None: it succeeded). A step that waits has `waits_for` (`event`, `expression`, `expires_at`), one that invokes the
    run that it `invoked`; one that was copied from the run that this one replays is `copied`. `replayed_by` are the
    runs that replay this one.
    """
    kept = await _by_step(conn, run["id"])
    related = await _rows(conn, "runs/related", {"id": run["id"], "limit": MOST_RELATED})
    invoked = {each["invoker_step"]: each["id"] for each in related if each["invoker_step"] is not None}
    return {
        **run,
        "attempts": _of_handler(run, kept.get(_HANDLER, [])),
        "replayed_by": [each["id"] for each in related if each["replays"] == run["id"]],
        "steps": [_step(run, step, kept.get(step["id"], []), invoked) for step in steps],
    }


def _step(
    run: Mapping[str, Any], step: Mapping[str, Any], kept: list[dict[str, Any]], invoked: Mapping[str, str]
) -> dict[str, Any]:
    told = {**step, "attempts": _of_step(step, kept), "copied": step["started_at"] < run["created_at"]}
    if step["kind"] == "wait":
        given = step["input"] or {}
        told["waits_for"] = {
            "event": given.get("event"),
            "expression": given.get("expression"),
            "expires_at": step["wake_at"],
        }
    elif step["kind"] == "invoke":
        told["invoked"] = invoked.get(step["id"])
    return told


def _of_step(step: Mapping[str, Any], kept: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Those that are kept, and the last one: of a step that succeeded at once, nothing else is."""
    if step["kind"] not in _TRIED or step["ended_at"] is None or _is_told(kept, step["error"]):
        return kept
    return [*kept, _attempt(step["attempts"] or 1, kept, step["started_at"], step["ended_at"], step["error"])]


def _of_handler(run: Mapping[str, Any], kept: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The same of a run, whose last attempt may be under way; not while it waits for its next one."""
    rests = run["status"] == "queued" and run["error"] is not None
    error = None if run["ended_at"] is None else run["error"]
    if run["started_at"] is None or rests or _is_told(kept, error):
        return kept
    return [*kept, _attempt(run["failures"] + 1, kept, run["started_at"], run["ended_at"], error)]


def _is_told(kept: Sequence[Mapping[str, Any]], error: object) -> bool:
    """Whether what became of it in the end is that of an attempt that is kept."""
    return bool(kept) and kept[-1]["error"] == error


def _attempt(
    number: int, kept: Sequence[Mapping[str, Any]], began: datetime, ended: datetime | None, error: object
) -> dict[str, Any]:
    started_at = kept[-1]["ended_at"] if kept else began
    return {"attempt": number, "started_at": started_at, "ended_at": ended, "error": error}


async def _by_step(conn: Connection, run_id: str) -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = {}
    for row in await _rows(conn, "attempts/of_run", {"id": run_id}):
        found.setdefault(row.pop("step_id"), []).append(row)
    return found


async def _rows(conn: Connection, name: str, parameters: Mapping[str, Any]) -> list[dict[str, Any]]:
    async with conn.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(text(name), parameters)
        return await cursor.fetchall()
