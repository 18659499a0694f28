"""Slot and checkpoint as an operator handles them."""

from __future__ import annotations

from dataclasses import dataclass

from cdc.config import Settings
from cdc.listener.agreement import check_slot
from cdc.lsn import Lsn
from cdc.service.databases import Databases
from cdc.service.named import Named
from cdc.store import checkpoints, gaps, server
from cdc.store.checkpoints import Checkpoint
from cdc.store.connect import Connection
from cdc.store.gaps import Gap
from cdc.store.server import Slot
from cdc.wal import slot as replication


@dataclass(frozen=True, slots=True)
class State:
    """Where slot, checkpoint and server are, and what was lost."""

    slot: Slot | None
    checkpoint: Checkpoint | None
    wal: Lsn
    gaps: list[Gap]


async def state(settings: Settings, named: Named) -> State:
    """Look."""
    databases = Databases.of(settings, settings.watched_url).watching(named)
    await databases.migrate_state()
    async with await databases.to_watched() as source, await databases.to_state() as conn:
        known = await checkpoints.current(conn, named.name)
        slot, wal = await server.slot(source, named.slot), await server.wal_position(source)
        return State(slot, known[1] if known else None, wal, await gaps.listed(conn))


async def drop(settings: Settings, named: Named) -> None:
    """Drop the slot first, then end the incarnation: a slot that nobody knows of would fill the disk.

    Raises:
        SlotInUse: a service is listening; stop it first.
        ServerNotReady: the slot is another database's.
    """
    databases = Databases.of(settings, settings.watched_url).watching(named)
    await databases.migrate_state()
    async with await databases.to_state() as conn, await databases.to_watched() as source:
        await drop_ours(databases, named, conn, source)
        await checkpoints.retire_source(conn, named.name, "cdc slot drop")


async def drop_ours(databases: Databases, named: Named, state: Connection, source: Connection) -> None:
    """Drop the slot of the settings, and the one that the checkpoint was made with, should the setting have changed.

    A copy on the same server may name the slot that the original is read from: that one is left alone.

    Raises:
        SlotInUse: a service is listening; stop it first.
        ServerNotReady: the slot is another database's.
    """
    known = await checkpoints.current(state, named.name)
    slot = await server.slot(source, named.slot)
    if slot is not None:
        check_slot(slot, named.slot, source.info.dbname)
        await replication.drop_slot(databases.watched, named.slot)
    if known is not None and known[0].slot != named.slot:
        former = await server.slot(source, known[0].slot)
        if former is not None and former.database == source.info.dbname:
            await replication.drop_slot(databases.watched, known[0].slot)
