"""Slot and checkpoint as an operator handles them."""

from __future__ import annotations

from dataclasses import dataclass

from cdc.config import Settings
from cdc.lsn import Lsn
from cdc.service.databases import Databases
from cdc.service.named import Named
from cdc.store import checkpoints, server
from cdc.store.checkpoints import Checkpoint
from cdc.store.server import Slot
from cdc.wal import slot as replication


@dataclass(frozen=True, slots=True)
class State:
    """Where slot, checkpoint and server are."""

    slot: Slot | None
    checkpoint: Checkpoint | None
    wal: Lsn


async def state(settings: Settings, named: Named) -> State:
    """Look."""
    databases = Databases.of(settings, settings.watched_url).watching(named)
    await databases.migrate_state()
    async with await databases.to_watched() as source, await databases.to_state() as conn:
        known = await checkpoints.current(conn, named.name)
        return State(
            await server.slot(source, named.slot), known[1] if known else None, await server.wal_position(source)
        )


async def drop(settings: Settings, named: Named) -> None:
    """Drop the slot first, then end the incarnation: a slot that nobody knows of would fill the disk.

    Both the slot of the settings and the one that the checkpoint was made with, should the setting have changed.

    Raises:
        SlotInUse: a service is listening; stop it first.
    """
    databases = Databases.of(settings, settings.watched_url).watching(named)
    await databases.migrate_state()
    async with await databases.to_state() as conn:
        known = await checkpoints.current(conn, named.name)
        for name in {named.slot, known[0].slot if known else named.slot}:
            await replication.drop_slot(databases.watched, name)
        await checkpoints.retire_source(conn, named.name)
