"""How far the row events of each source were sent on to a cluster."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from cdc import lsn
from cdc.lsn import Position
from cdc.store.arrays import plain
from cdc.store.connect import Connection
from cdc.store.queries import text


class Standing(NamedTuple):
    """One incarnation of a source: how far it was accepted, and sent on. `place` is None where that was not begun."""

    source_id: int
    name: str
    accepted: Position
    place: UUID | None
    sent: int
    refused: int
    lost: int
    error: str | None


class Waiting(NamedTuple):
    """An event that is to be sent on; `data` is JSON, `ts` in milliseconds."""

    id: UUID
    name: str
    data: str
    ts: int
    accepted_at: datetime


class Range(NamedTuple):
    """Ids of a source's row events: from the first, until that which is not among them any more."""

    source_id: int
    first: UUID
    until: UUID

    def parameters(self) -> dict[str, object]:
        """As the statements name them."""
        return {"source_id": self.source_id, "from": self.first, "until": self.until}


class Hold(NamedTuple):
    """Who sends on the events of a source, and for how many seconds nobody else may."""

    source_id: int
    holder: UUID
    seconds: float


async def standing(conn: Connection) -> list[Standing]:
    """All incarnations of all sources, the oldest first."""
    found = []
    for row in await (await conn.execute(text("forwards/standing"))).fetchall():
        source_id, name, commit_lsn, ordinal, place, *rest = row
        accepted = Position(lsn.parse(commit_lsn), ordinal)
        found.append(Standing(source_id, name, accepted, UUID(place) if place else None, *rest))
    return found


async def begin(conn: Connection, places: Mapping[int, UUID]) -> None:
    """Send on the events of these sources: from where they are now when it is switched on, later from their first."""
    await conn.execute(text("forwards/begin"), {"source_ids": plain(places), "places": plain(places.values())})


async def claim(conn: Connection, hold: Hold) -> UUID | None:
    """Be the one who sends; the place from which on. None: another is."""
    row = await (await conn.execute(text("forwards/claim"), hold._asdict())).fetchone()
    return None if row is None else UUID(row[0])


async def page(conn: Connection, of: Range, *, limit: int, bytes: int) -> list[Waiting]:
    """The next events, as many as have so many bytes as they are stored, and one at least."""
    parameters = {**of.parameters(), "limit": limit, "bytes": bytes}
    rows = await (await conn.execute(text("forwards/page"), parameters)).fetchall()
    return [Waiting(UUID(id_), *rest) for id_, *rest in rows]


async def advance(conn: Connection, hold: Hold, place: UUID, *, sent: int, refused: int) -> bool:
    """All up to this place is done; False: another sends now."""
    parameters = {**hold._asdict(), "place": place, "sent": sent, "refused": refused}
    return (await conn.execute(text("forwards/advance"), parameters)).rowcount > 0


async def release(conn: Connection, hold: Hold, error: str | None) -> None:
    """Let others send."""
    parameters = {"source_id": hold.source_id, "holder": hold.holder, "error": error}
    await conn.execute(text("forwards/release"), parameters)


async def backlog(conn: Connection, of: Range, *, limit: int) -> tuple[int, float]:
    """How many events wait, counted to the limit, and for how many seconds the oldest has."""
    row = await (await conn.execute(text("forwards/backlog"), {**of.parameters(), "limit": limit})).fetchone()
    return (int(row[0]), float(row[1])) if row else (0, 0.0)
