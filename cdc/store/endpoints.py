"""Runs that begin in an HTTP endpoint of an app, which executes them by itself until it cannot."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from cdc.errors import ConfigurationError
from cdc.store import ai_calls, functions
from cdc.store.arrays import plain, quoted
from cdc.store.connect import Connection
from cdc.store.counting import count
from cdc.store.queries import text
from cdc.store.reported import Told
from cdc.tallies import Tallies

PAUSE = 1.0
"""Seconds before a step is tried again that failed in the app's own hands."""


class Found(NamedTuple):
    """How a run stands; above one of `claims`, the app does not have it any more."""

    status: str
    output: Any
    error: Any
    claims: int


async def register(conn: Connection, app: str, url: str, definition: dict[str, Any], *, most: int) -> bool:
    """Have an endpoint of an app as a function, within the caller's transaction; False: the app has `most` already.

    Raises:
        ConfigurationError: somebody else has a function of this id.
    """
    await conn.execute(text("functions/lock_registry"))
    if await functions.taken(conn, [definition["id"]], app) is not None:
        raise ConfigurationError(f"There is another function {definition['id']!r}, which is no endpoint of {app!r}.")
    row = await (await conn.execute(text("endpoints/count"), {"app": app})).fetchone()
    assert row is not None, "an aggregate has one row"
    if row[0] >= most:
        return False
    await conn.execute(text("endpoints/serve"), {"name": app, "url": url})
    if await functions.write(conn, [definition], app):
        await conn.execute(text("functions/raise_version"))
    return True


async def begin(conn: Connection, run_id: str, function_id: str, event_id: str, *, lease: float) -> bool:
    """Create a run that its app executes; False: there is one of this id."""
    parameters = {"id": run_id, "function_id": function_id, "event_id": event_id, "lease": lease}
    if await (await conn.execute(text("endpoints/begin"), parameters)).fetchone() is None:
        return False
    book = Tallies()
    book.time("started", function_id, 0.0)
    count(conn, book)
    return True


async def record(
    conn: Connection, run_id: str, function_id: str, steps: Sequence[Told], tried: Sequence[Told], *, lease: float
) -> bool:
    """Record steps that ended and others that were `tried` in vain; False: the app does not have this run."""
    every = [*steps, *tried]
    parameters = {
        "id": run_id,
        "function_id": function_id,
        "lease": lease,
        "pause": PAUSE,
        "ids": quoted(step.id for step in every),
        "kinds": plain(step.kind for step in every),
        "places": plain(range(len(every))),
        "data": quoted(step.data for step in every),
        "errors": quoted(step.error for step in every),
        "tooks": plain(step.took for step in every),
        "endeds": plain([True] * len(steps) + [False] * len(tried)),
    }
    row = await (await conn.execute(text("endpoints/record"), parameters)).fetchone()
    assert row is not None, "it selects no table"
    held, recorded = row
    await ai_calls.write(conn, [step.call for step in steps if step.call is not None and step.id in recorded])
    return bool(held)


async def hand_over(conn: Connection, run_id: str, *, failures: int, due_in: float) -> None:
    """Have a run executed from here that its app has, and that the caller's transaction has locked."""
    await conn.execute(text("endpoints/hand_over"), {"id": run_id, "failures": failures, "due_in": due_in})


async def complete(conn: Connection, run_id: str, function_id: str, output: str) -> None:
    """End such a run; `output` is JSON."""
    row = await (await conn.execute(text("endpoints/complete"), {"id": run_id, "output": output})).fetchone()
    if row is not None:
        book = Tallies()
        book.time("completed", function_id, row[0])
        count(conn, book)


async def found(conn: Connection, run_id: str, function_id: str | None = None) -> Found | None:
    """A run, of this function if that is given; None: there is none."""
    parameters = {"id": run_id, "function_id": function_id}
    row = await (await conn.execute(text("endpoints/found"), parameters)).fetchone()
    return None if row is None else Found(*row)
