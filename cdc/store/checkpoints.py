"""Incarnations of a source and their checkpoints."""

from __future__ import annotations

from dataclasses import dataclass, replace

from cdc import lsn
from cdc.errors import ListenerFenced
from cdc.lsn import Lsn, Position
from cdc.store.connect import Connection
from cdc.store.queries import text


@dataclass(frozen=True, slots=True)
class Source:
    """One incarnation of a watched database: one server, one timeline, one slot."""

    id: int
    system_identifier: str
    timeline: int
    slot: str


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The last position accepted, and the epoch of the listener that may move it.

    `end_lsn` is the end of the last whole transaction: what may be confirmed, and where streaming starts again.
    """

    source_id: int
    epoch: int
    position: Position
    end_lsn: Lsn

    def moved(self, position: Position, end_lsn: Lsn) -> Checkpoint:
        """The same checkpoint at another place."""
        return replace(self, position=position, end_lsn=end_lsn)


async def current(conn: Connection, name: str) -> tuple[Source, Checkpoint] | None:
    """The live incarnation of a source and its checkpoint."""
    row = await (await conn.execute(text("checkpoints/current"), {"name": name})).fetchone()
    if row is None:
        return None
    source_id, system_identifier, timeline, slot, *place = row
    return Source(source_id, system_identifier, timeline, slot), _checkpoint(source_id, *place)


async def lock_opening(conn: Connection, name: str) -> None:
    """Wait, within the caller's transaction, until nobody else opens this source."""
    await conn.execute(text("checkpoints/lock_opening"), {"name": name})


async def open_source(
    conn: Connection, name: str, *, system_identifier: str, timeline: int, slot: str, start: Lsn
) -> None:
    """Begin a new incarnation whose stream starts at `start`."""
    await conn.execute(
        text("checkpoints/open"),
        {
            "name": name,
            "system_identifier": system_identifier,
            "timeline": timeline,
            "slot": slot,
            "lsn": lsn.render(start),
        },
    )


async def retire_source(conn: Connection, name: str, reason: str = "the position was given up") -> bool:
    """End the live incarnation, and begin a gap; False when there was none. Whoever listens for it is refused."""
    return (await conn.execute(text("checkpoints/retire"), {"name": name, "reason": reason})).rowcount > 0


async def take_over(conn: Connection, checkpoint: Checkpoint) -> Checkpoint:
    """The checkpoint as it is now, under a new epoch: whoever held it before is refused from now on.

    Raises:
        ListenerFenced: its incarnation has ended meanwhile.
    """
    row = await (await conn.execute(text("checkpoints/take_over"), {"source_id": checkpoint.source_id})).fetchone()
    if row is None:
        raise ListenerFenced("The position of this source was given up meanwhile.", hint="The listener starts over.")
    return _checkpoint(*row)


async def follow_timeline(conn: Connection, source: Source, timeline: int) -> Checkpoint | None:
    """The incarnation goes on on this timeline, under a new epoch; None when another service was faster."""
    parameters = {"source_id": source.id, "before": source.timeline, "after": timeline}
    row = await (await conn.execute(text("checkpoints/follow_timeline"), parameters)).fetchone()
    return None if row is None else _checkpoint(*row)


async def advance(conn: Connection, before: Checkpoint, after: Checkpoint) -> int | None:
    """Move a checkpoint within the caller's transaction.

    Returns:
        The registry's version, or None when the checkpoint is not where `before` says: another listener took over.
    """
    row = await (
        await conn.execute(
            text("checkpoints/advance"),
            {
                "source_id": before.source_id,
                "epoch": before.epoch,
                "from_commit_lsn": lsn.render(before.position.commit_lsn),
                "from_ordinal": before.position.ordinal,
                "commit_lsn": lsn.render(after.position.commit_lsn),
                "ordinal": after.position.ordinal,
                "end_lsn": lsn.render(after.end_lsn),
            },
        )
    ).fetchone()
    return None if row is None else int(row[0])


def _checkpoint(source_id: int, epoch: int, commit_lsn: str, ordinal: int, end_lsn: str) -> Checkpoint:
    return Checkpoint(source_id, epoch, Position(lsn.parse(commit_lsn), ordinal), lsn.parse(end_lsn))
