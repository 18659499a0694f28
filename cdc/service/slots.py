"""Slot and checkpoint as an operator handles them."""

from __future__ import annotations

from dataclasses import dataclass

from cdc.config import Settings
from cdc.lsn import Lsn
from cdc.service.databases import Databases
from cdc.service.named import DEFAULT
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


async def state(settings: Settings, url: str) -> State:
    """Look."""
    databases = Databases.of(settings, url)
    await databases.migrate_state()
    async with await databases.to_watched() as source, await databases.to_state() as conn:
        known = await checkpoints.current(conn, DEFAULT)
        return State(
            await server.slot(source, settings.slot), known[1] if known else None, await server.wal_position(source)
        )


async def drop(settings: Settings, url: str) -> None:
    """Drop the slot first, then end the incarnation: a slot that nobody knows of would fill the disk.

    Both the slot of CDC_SLOT and the one that the checkpoint was made with, should the setting have changed.

    Raises:
        SlotInUse: a service is listening; stop it first.
    """
    databases = Databases.of(settings, url)
    await databases.migrate_state()
    async with await databases.to_state() as conn:
        known = await checkpoints.current(conn, DEFAULT)
        for name in {settings.slot, known[0].slot if known else settings.slot}:
            await replication.drop_slot(databases.watched, name)
        await checkpoints.retire_source(conn, DEFAULT)
