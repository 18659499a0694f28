"""Brings slot and checkpoint together, and refuses when they do not belong together.

The server believes any acknowledgement and any start position, so a checkpoint from elsewhere (a restored backup, a
reset branch, a slot made anew) would lose changes without an error. All of that is checked here, before streaming.
"""

from __future__ import annotations

from dataclasses import dataclass

import structlog

from cdc import lsn
from cdc.errors import CheckpointMismatch, ServerNotReady
from cdc.lsn import Lsn
from cdc.store import checkpoints, server
from cdc.store.checkpoints import Checkpoint, Source
from cdc.store.connect import Connection
from cdc.store.server import Slot
from cdc.wal import slot as replication
from cdc.wal.slot import Identity

log = structlog.get_logger(__name__)

_ANEW = (
    "'cdc slot drop' gives up this position; the next 'cdc run' starts at the present one. "
    "Changes made in between will have no events."
)


@dataclass(frozen=True, slots=True)
class Watched:
    """A database to listen to. `name` is the source's name in events and checkpoints."""

    url: str
    name: str
    slot: str
    publication: str


async def attach(watched: Watched, state: Connection, source_conn: Connection) -> Checkpoint:
    """The checkpoint to stream from. Makes the slot when this source was never listened to.

    Another service may be listening meanwhile: it is left alone, and the checkpoint moves on. Of several that come to
    a source for the first time, one opens it and the others find it open.

    Raises:
        CheckpointMismatch: slot, checkpoint and server do not belong together.
        ServerNotReady: the slot's name is taken by something else.
    """
    slot, known, identity = await _look(watched, state, source_conn)
    if known is None:
        await _open(watched, state, source_conn, identity)
        slot, known, identity = await _look(watched, state, source_conn)
        assert known is not None, "it was opened just now"
    elif slot is None:  # made after we had looked for it, and before we looked for the checkpoint?
        slot, known, identity = await _look(watched, state, source_conn)
        assert known is not None, "it was open just now"
    source, checkpoint = known
    _check(watched, source, checkpoint, identity, slot)
    return checkpoint


async def _look(
    watched: Watched, state: Connection, source_conn: Connection
) -> tuple[Slot | None, tuple[Source, Checkpoint] | None, Identity]:
    """Slot, checkpoint and server, read in the order of `_check_order`: it holds while another listener moves them."""
    slot = await server.slot(source_conn, watched.slot)
    known = await checkpoints.current(state, watched.name)
    identity = await replication.identify(watched.url)
    if slot is not None:
        _check_slot(watched, slot, identity.database)
    return slot, known, identity


async def belongs(watched: Watched, state: Connection, source_conn: Connection) -> bool:
    """Whether the source was opened, and here: asked by those that execute its runs and never listen.

    Raises:
        CheckpointMismatch: it was opened on another server or timeline.
        ServerNotReady: its slot is another database's.
    """
    known = await checkpoints.current(state, watched.name)
    if known is None:
        return False
    system_identifier, timeline, database = await server.identity(source_conn)
    _check_server(watched, known[0], system_identifier, timeline)
    slot = await server.slot(source_conn, known[0].slot)
    if slot is not None:
        _check_slot(watched, slot, database)
    return True


async def _open(watched: Watched, state: Connection, source_conn: Connection, identity: Identity) -> None:
    """Start a source at its slot, unless somebody else has done so by the time that it is our turn.

    A slot that stands already has lost nothing since its confirmed position.
    """
    async with state.transaction():
        await checkpoints.lock_opening(state, watched.name)
        if await checkpoints.current(state, watched.name) is not None:
            return
        slot = await server.slot(source_conn, watched.slot)
        start = slot.confirmed_lsn if slot else await replication.create_slot(watched.url, watched.slot)
        await checkpoints.open_source(
            state,
            watched.name,
            system_identifier=identity.system_identifier,
            timeline=identity.timeline,
            slot=watched.slot,
            start=start,
        )
    log.info("source opened", source=watched.name, slot=watched.slot, lsn=lsn.render(start))


def _check_slot(watched: Watched, slot: Slot, database: str | None) -> None:
    if slot.plugin != "pgoutput" or slot.database != database:
        raise ServerNotReady(
            f"The replication slot {watched.slot!r} exists on this server for database {slot.database!r} "
            f"and plugin {slot.plugin!r}.",
            hint="Choose another name with CDC_SLOT.",
        )


def _check_server(watched: Watched, source: Source, system_identifier: str, timeline: int) -> None:
    if (source.system_identifier, source.timeline) != (system_identifier, timeline):
        raise CheckpointMismatch(
            f"The checkpoint of source {watched.name!r} was made on another server or timeline: this database is a "
            "copy, a restored backup, a branch, or a promoted standby.",
            hint=_ANEW,
        )


def _check(watched: Watched, source: Source, checkpoint: Checkpoint, identity: Identity, slot: Slot | None) -> None:
    _check_server(watched, source, identity.system_identifier, identity.timeline)
    if slot is None or source.slot != watched.slot:
        raise CheckpointMismatch(
            f"The replication slot {source.slot!r} of source {watched.name!r} is gone or was renamed; changes since "
            f"{lsn.render(checkpoint.end_lsn)} cannot be read any more.",
            hint=_ANEW,
        )
    if slot.wal_status == "lost":
        raise CheckpointMismatch(
            f"The replication slot {watched.slot!r} was invalidated: the server removed WAL that was still needed "
            "(max_slot_wal_keep_size or an idle timeout).",
            hint=_ANEW,
        )
    _check_order(watched, checkpoint, slot.confirmed_lsn, identity.wal_lsn)


def _check_order(watched: Watched, checkpoint: Checkpoint, confirmed: Lsn, wal: Lsn) -> None:
    """Confirmed <= checkpoint <= WAL: we confirm only what is stored, and store only what the server wrote."""
    if checkpoint.end_lsn > wal:
        raise CheckpointMismatch(
            f"The checkpoint of source {watched.name!r} ({lsn.render(checkpoint.end_lsn)}) is ahead of the server's "
            f"WAL ({lsn.render(wal)}): the server was set back.",
            hint=_ANEW,
        )
    if confirmed > checkpoint.end_lsn:
        raise CheckpointMismatch(
            f"The slot {watched.slot!r} was moved to {lsn.render(confirmed)} by somebody else, beyond the checkpoint "
            f"{lsn.render(checkpoint.end_lsn)}: the changes between them have no events.",
            hint=_ANEW,
        )
