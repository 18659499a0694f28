"""Runs and their steps: claimed, read, released."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from cdc.store.connect import Connection
from cdc.store.queries import text


class ClaimedRun(NamedTuple):
    """A run that this worker holds. `failures` counts failed attempts of the handler itself."""

    id: str
    function_id: str
    event_ids: list[str]
    claims: int
    failures: int


class Memo(NamedTuple):
    """What is recorded of a step. `due_in` is seconds until a sleep ends, negative when it has."""

    kind: str
    attempts: int
    data: Any
    error: dict[str, Any] | None
    ended: bool
    due_in: float | None


async def claim(conn: Connection, worker_id: int, functions: Sequence[str], limit: int) -> list[ClaimedRun]:
    """Claim up to `limit` due runs of these functions; none when the worker's lease is gone."""
    cursor = await conn.execute(
        text("runs/claim"), {"worker_id": worker_id, "functions": list(functions), "limit": limit}
    )
    return [ClaimedRun(*row) for row in await cursor.fetchall()]


async def memos(conn: Connection, run_ids: Sequence[str]) -> dict[str, dict[str, Memo]]:
    """The recorded steps of these runs, by run and step id."""
    found: dict[str, dict[str, Memo]] = {}
    if run_ids:
        cursor = await conn.execute(text("steps/of_runs"), {"ids": list(run_ids)})
        for run_id, step_id, *memo in await cursor.fetchall():
            found.setdefault(run_id, {})[step_id] = Memo(*memo)
    return found


async def next_due(conn: Connection, functions: Sequence[str]) -> float | None:
    """Seconds until the next run of these functions is due; None when there is none."""
    row = await (await conn.execute(text("runs/next_due"), {"functions": list(functions)})).fetchone()
    return None if row is None else float(row[0])


async def release(conn: Connection, worker_ids: Iterable[int]) -> int:
    """Queue the runs of these workers again; returns how many."""
    return (await conn.execute(text("runs/release"), {"worker_ids": list(worker_ids)})).rowcount


async def release_unknown(conn: Connection, worker_id: int, known: Iterable[str]) -> int:
    """Queue again what this worker holds without knowing it; returns how many."""
    parameters = {"worker_id": worker_id, "known": list(known)}
    return (await conn.execute(text("runs/release_unknown"), parameters)).rowcount


async def latest(conn: Connection, limit: int) -> list[dict[str, Any]]:
    """The latest runs as people see them, newest first."""
    return await _dicts(conn, "runs/latest", {"limit": limit})


async def by_id(conn: Connection, run_id: str) -> dict[str, Any] | None:
    """One run with its steps; None when there is no such run."""
    found = await _dicts(conn, "runs/by_id", {"id": run_id})
    return {**found[0], "steps": await _dicts(conn, "steps/of_run", {"id": run_id})} if found else None


async def counts(conn: Connection) -> dict[str, int]:
    """How many runs are unfinished, by status."""
    return dict(await (await conn.execute(text("runs/counts"))).fetchall())


async def _dicts(conn: Connection, name: str, parameters: dict[str, Any]) -> list[dict[str, Any]]:
    cursor = await conn.execute(text(name), parameters)
    names = [column.name for column in cursor.description or ()]
    return [dict(zip(names, row, strict=True)) for row in await cursor.fetchall()]
