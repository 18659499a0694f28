"""What is published, between services on one state database; nothing of it is kept."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, NamedTuple

from cdc.store.connect import Connection
from cdc.store.queries import text


class Run(NamedTuple):
    """How far a run is, and what it came to."""

    function_id: str
    status: str
    has_ended: bool
    output: Any
    error: Any


class Ended(NamedTuple):
    """A step that ended, and what it came to."""

    id: str
    data: Any
    error: Any


async def run(conn: Connection, run_id: str) -> Run | None:
    """One run; None: there is none."""
    found = await (await conn.execute(text("realtime/run"), {"id": run_id})).fetchone()
    return None if found is None else Run(*found)


async def ended(conn: Connection, run_id: str, told: Collection[str], limit: int) -> list[Ended]:
    """The first of its steps that ended, but for those `told`."""
    given = {"id": run_id, "told": list(told), "limit": limit}
    return [Ended(*row) for row in await (await conn.execute(text("realtime/steps"), given)).fetchall()]


async def listen(conn: Connection) -> None:
    """Have what is published sent to this connection."""
    await conn.execute(text("realtime/listen"))


async def notify(conn: Connection, parts: Sequence[str]) -> None:
    """Tell all who listen, this service included; they get the parts together and in order. One has less than 8000
    bytes.
    """
    await conn.execute(text("realtime/notify"), {"parts": list(parts)})
