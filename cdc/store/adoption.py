"""What becomes of the unfinished runs in a copy of the state."""

from __future__ import annotations

from cdc.store.connect import Connection
from cdc.store.json import document
from cdc.store.queries import text

_WHY = document({"name": "RunCancelled", "message": "cancelled with cdc adopt"})


async def cancel_everything(conn: Connection) -> int:
    """End all unfinished runs, their waits and the schedules, within the caller's transaction; how many runs.

    No event tells of it: on a copy, functions that start on cancellations are not to be started.
    """
    cancelled = (await conn.execute(text("adoption/cancel_runs"), {"error": _WHY})).rowcount
    for statement in (text("adoption/drop_waits"), text("adoption/drop_schedules"), text("adoption/drop_gates")):
        await conn.execute(statement)
    return cancelled
