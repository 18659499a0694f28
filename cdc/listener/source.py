"""Brings slot and checkpoint together, and refuses when they do not belong together.

What must agree is in `agreement`; a promoted standby is followed by `promotion`. All of it before streaming.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Literal, NamedTuple

import structlog

from cdc import lsn
from cdc.errors import DatabaseUnreachable, ServerNotReady, SlotLost
from cdc.listener import promotion
from cdc.listener.agreement import check_before_loss, check_order, check_readable, check_server, check_slot, is_promoted
from cdc.store import checkpoints, gaps, server
from cdc.store.checkpoints import Checkpoint, Source
from cdc.store.connect import Connection
from cdc.store.server import Slot
from cdc.wal import slot as replication
from cdc.wal.slot import Identity

log = structlog.get_logger(__name__)

_FAILOVER_SINCE = 170000

OnGap = Callable[[Connection, Connection], Awaitable[None]]
"""Called in the transaction that begins a new incarnation after changes were lost, with connections to the state and to
the watched database: what is derived from rows has to be made good.
"""


async def _nothing_to_do(state: Connection, source_conn: Connection) -> None:
    pass


@dataclass(frozen=True, slots=True)
class Watched:
    """A database to listen to. `name` is the source's name in events and checkpoints.

    `failover`: standbys keep a copy of the slot. `on_loss`: what to do when the slot is lost; `on_gap` is called when a
    new one takes its place.
    """

    url: str
    name: str
    slot: str
    publication: str
    failover: bool = False
    on_loss: Literal["stop", "recreate"] = "stop"
    on_gap: OnGap = _nothing_to_do


class _Found(NamedTuple):
    slot: Slot | None
    known: tuple[Source, Checkpoint] | None
    identity: Identity


async def attach(watched: Watched, state: Connection, source_conn: Connection) -> Checkpoint:
    """The checkpoint to stream from. Makes the slot when this source was never listened to, or when it is lost and
    may be made anew.

    Another service may be listening meanwhile: it is left alone, and the checkpoint moves on. Of several that come to
    a source for the first time, one opens it and the others find it open.

    Raises:
        CheckpointMismatch: slot, checkpoint and server do not belong together; SlotLost: only the slot is missing.
        ServerNotReady: the slot's name is taken by something else, or the server knows no failover slots.
        DatabaseUnreachable: the server is a standby, for now.
    """
    if watched.failover and server.version(source_conn) < _FAILOVER_SINCE:
        raise ServerNotReady(
            f"CDC_FAILOVER needs Postgres 17; this server is {server.version(source_conn) // 10000}.",
            hint="Leave it out, or upgrade the server.",
        )
    found = await _opened(watched, state, source_conn)
    try:
        checkpoint = _checked(watched, found)
    except SlotLost as lost:
        if watched.on_loss == "stop":
            raise
        await _give_up(watched, state, source_conn, lost)
        checkpoint = _checked(watched, await _opened(watched, state, source_conn))
    if watched.failover:
        await _mark_for_failover(watched, source_conn)
    return checkpoint


async def belongs(watched: Watched, state: Connection, source_conn: Connection) -> bool:
    """Whether the source is open, and here: asked by those that execute its runs and never listen. Not yet, after a
    promotion, before a listener followed it.

    Raises:
        CheckpointMismatch: it was opened on another server or timeline; SlotLost: its slot is missing.
        ServerNotReady: its slot is another database's.
        DatabaseUnreachable: the server is a standby, for now.
    """
    _check_primary(source_conn)
    known = await checkpoints.current(state, watched.name)
    if known is None:
        return False
    source, checkpoint = known
    system_identifier, timeline, database = await server.identity(source_conn)
    system_identifier = await _with_branch(source_conn, system_identifier)
    if is_promoted(source, system_identifier, timeline):
        return False
    check_server(watched.name, source, system_identifier, timeline)
    slot = await server.slot(source_conn, source.slot)
    if slot is not None:
        check_slot(slot, source.slot, database)
    check_readable(slot, source, checkpoint)
    return True


async def open_source(watched: Watched, state: Connection, source_conn: Connection) -> None:
    """Start a source at its slot, unless somebody else has done so by the time that it is our turn.

    A slot that stands already has lost nothing since its confirmed position; one that is lost is made anew.
    """
    identity = await _identify(watched, source_conn)
    async with state.transaction():
        await checkpoints.lock_opening(state, watched.name)
        if await checkpoints.current(state, watched.name) is not None:
            return
        slot = await server.slot(source_conn, watched.slot)
        if slot is not None:
            check_slot(slot, watched.slot, identity.database)
        if slot is not None and slot.is_lost:
            await replication.drop_slot(watched.url, watched.slot)
            slot = None
        start = (
            slot.confirmed_lsn
            if slot
            else await replication.create_slot(watched.url, watched.slot, failover=watched.failover)
        )
        await checkpoints.open_source(
            state,
            watched.name,
            system_identifier=identity.system_identifier,
            timeline=identity.timeline,
            slot=watched.slot,
            start=start,
        )
        gap = await gaps.close(state, watched.name, start)
        if gap is not None:
            await watched.on_gap(state, source_conn)
    log.info("source opened", source=watched.name, slot=watched.slot, lsn=lsn.render(start))
    if gap is not None:
        log.error("changes were lost", **{**gap._asdict(), "from_at": str(gap.from_at), "to_at": str(gap.to_at)})


async def _opened(watched: Watched, state: Connection, source_conn: Connection) -> _Found:
    """What there is, once the source is open and on the server's timeline."""
    _check_primary(source_conn)
    found = await _look(watched, state, source_conn)
    if found.known is not None and found.slot is None:  # made after we had looked for it, before for the checkpoint?
        found = await _look(watched, state, source_conn)
    if found.known is None:
        await open_source(watched, state, source_conn)
        found = await _look(watched, state, source_conn)
        assert found.known is not None, "it was opened just now"
    source, _ = found.known
    if is_promoted(source, found.identity.system_identifier, found.identity.timeline):
        await promotion.follow(watched.url, watched.name, state, source, found.slot, found.identity)
        return await _look(watched, state, source_conn)
    return found


async def _look(watched: Watched, state: Connection, source_conn: Connection) -> _Found:
    """Slot, checkpoint and server, read in the order of what is checked: confirmed <= checkpoint <= WAL holds while
    another listener moves them.
    """
    slot = await server.slot(source_conn, watched.slot)
    known = await checkpoints.current(state, watched.name)
    identity = await _identify(watched, source_conn)
    if slot is not None:
        check_slot(slot, watched.slot, identity.database)
    return _Found(slot, known, identity)


def _checked(watched: Watched, found: _Found) -> Checkpoint:
    assert found.known is not None, "it was opened before"
    source, checkpoint = found.known
    check_before_loss(watched.name, watched.slot, source, checkpoint, found.identity)
    slot = check_readable(found.slot, source, checkpoint)
    check_order(source, checkpoint, slot.confirmed_lsn)
    return checkpoint


async def _give_up(watched: Watched, state: Connection, source_conn: Connection, lost: SlotLost) -> None:
    """End the incarnation whose slot is lost, unless another service has done so. Nothing later is in this transaction:
    to make a slot waits for all that write.
    """
    async with state.transaction():
        await checkpoints.lock_opening(state, watched.name)
        found = await _look(watched, state, source_conn)
        if found.known is not None and (found.slot is None or found.slot.is_lost):
            await checkpoints.retire_source(state, watched.name, lost.message)


async def _mark_for_failover(watched: Watched, source_conn: Connection) -> None:
    slot = await server.slot(source_conn, watched.slot)
    if slot is not None and not slot.failover and slot.active_pid is None:
        await replication.mark_for_failover(watched.url, watched.slot)
        log.info("slot is kept on standbys", slot=watched.slot)


async def _identify(watched: Watched, source_conn: Connection) -> Identity:
    identity = await replication.identify(watched.url)
    return identity._replace(system_identifier=await _with_branch(source_conn, identity.system_identifier))


async def _with_branch(source_conn: Connection, system_identifier: str) -> str:
    """Branches of a Neon project have one system identifier, and are copies all the same."""
    branch = await server.branch(source_conn)
    return f"{system_identifier}/{branch}" if branch else system_identifier


def _check_primary(conn: Connection) -> None:
    """A standby is waited for: it may be about to be promoted."""
    if server.is_standby(conn):
        raise DatabaseUnreachable(
            "The server is a standby.", hint="It is tried again; logical changes are read from the primary."
        )
