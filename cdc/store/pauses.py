"""Functions that are paused, and their runs, which stand aside meanwhile."""

from __future__ import annotations

from uuid import UUID

from cdc.store.connect import Connection
from cdc.store.queries import text

_PAGE = 1000

_FIRST = str(UUID(int=0))


async def known(conn: Connection, function_id: str) -> bool:
    """Whether there is a function with this id."""
    return (await conn.execute(text("functions/known"), {"id": function_id})).rowcount > 0


async def set_paused(conn: Connection, function_id: str, *, paused: bool) -> bool:
    """Pause or resume a function, for all runs created from now on; whether that changed anything.

    On return no transaction is under way that still goes by what was before.
    """
    async with conn.transaction():
        await conn.execute(text("events/lock_all"))
        await conn.execute(text("functions/lock_registry"))
        changed = await conn.execute(text("functions/pause"), {"id": function_id, "paused": paused})
        if changed.rowcount:
            await conn.execute(text("functions/raise_version"))
        return changed.rowcount > 0


async def hold(conn: Connection, function_id: str) -> int:
    """Let the runs of a paused function that have not started stand aside, in pages; how many did.

    Those that had been called to a place leave it to others, who are called again by the workers (engine.claims).
    """
    held, after = 0, _FIRST
    while True:
        async with conn.transaction():
            parameters = {"function_id": function_id, "after": after, "limit": _PAGE}
            page = await (await conn.execute(text("runs/pause"), parameters)).fetchall()
        if not page:
            return held
        held += len(page)
        after = max(run_id for (run_id,) in page)


async def let_go(conn: Connection, function_id: str) -> int:
    """Let the runs that stood aside go on, in pages; how many did."""
    parameters = {"function_id": function_id, "limit": _PAGE}
    released = 0
    while page := (await conn.execute(text("runs/resume"), parameters)).rowcount:
        released += page
    return released
