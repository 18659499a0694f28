"""What becomes of declared embeddings: filling, live or retired, and how far their index is."""

from __future__ import annotations

from datetime import datetime
from typing import Literal, NamedTuple

from cdc.store.embeddings import Connection, one
from cdc.store.queries import text

IndexState = Literal["waiting", "building", "ready", "failed"]


class Life(NamedTuple):
    """Of one declaration. `index_reason` says what its index waits for or failed at."""

    id: int
    live_at: datetime | None
    retired_at: datetime | None
    index_state: IndexState | None
    index_reason: str | None
    indexed_at: datetime | None

    @property
    def state(self) -> Literal["live", "filling", "retired"]:
        """Whether searches read it, do not yet, or do no more."""
        if self.live_at:
            return "live"
        return "retired" if self.retired_at else "filling"


async def lives(conn: Connection) -> dict[int, Life]:
    """Of all declarations, by id."""
    rows = await conn.execute(text("embedding/lives"))
    return {row[0]: Life(*row) for row in await rows.fetchall()}


async def set_index(conn: Connection, id: int, state: IndexState, reason: str | None = None) -> None:
    """Note how far the index of a declaration is."""
    parameters = {"id": id, "state": state, "reason": reason}
    await conn.execute(text("embedding/set_index"), parameters)


async def switch(conn: Connection, id: int) -> int | None:
    """Let searches read this declaration instead of those that it replaces; how many those are. None: no need to."""
    (count,) = await one(conn, text("embedding/switch"), {"id": id})
    return None if count is None else int(count)
