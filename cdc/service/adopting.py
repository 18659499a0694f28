"""`cdc adopt`: a database that is a copy, or that took the place of the one its checkpoint was made on."""

from __future__ import annotations

from typing import Literal, NamedTuple

from cdc.config import Settings
from cdc.errors import CheckpointMismatch, ServerNotReady
from cdc.listener.agreement import check_slot
from cdc.listener.source import belongs, open_source
from cdc.service.databases import Databases
from cdc.service.named import Named
from cdc.service.slots import drop_ours
from cdc.service.source import watched
from cdc.store import adoption, checkpoints, notifications, runs, server

Runs = Literal["keep", "cancel"]


class Before(NamedTuple):
    """Why it may have to be adopted (None: it looks like the one that the checkpoint was made on), and its runs."""

    mismatch: str | None
    runs: dict[str, int]


async def look(settings: Settings, named: Named) -> Before:
    """What there is to decide on.

    Raises:
        ConfigurationError, DatabaseUnreachable, DatabaseRefused, ServerNotReady, MigrationError: it cannot be seen.
    """
    databases = Databases.of(settings, settings.watched_url).watching(named)
    await databases.prepare_watched(settings, listens=True)
    await databases.prepare_state(settings)
    async with await databases.to_state() as state, await databases.to_watched() as source:
        slot = await server.slot(source, named.slot)
        if slot is not None:
            check_slot(slot, named.slot, source.info.dbname)
        try:
            opened = await belongs(watched(settings, named), state, source)
            mismatch = None if opened else "The source was not opened here yet, or its position was given up."
        except (CheckpointMismatch, ServerNotReady) as error:
            mismatch = error.message
        return Before(mismatch, await runs.counts(state))


async def adopt(settings: Settings, named: Named, what: Runs) -> int:
    """Make this server the source, with a slot of its own from now on; returns how many runs were cancelled.

    The runs are cancelled with the end of the old incarnation: while the source is open, workers may claim.

    Raises:
        SlotInUse: a service is listening; stop it first.
        ServerNotReady: the slot is another database's.
    """
    databases = Databases.of(settings, settings.watched_url).watching(named)
    async with await databases.to_state() as state, await databases.to_watched() as source:
        await drop_ours(databases, named, state, source)
        async with state.transaction():
            await checkpoints.lock_opening(state, named.name)
            await checkpoints.retire_source(state, named.name, f"cdc adopt --runs={what}")
            cancelled = await adoption.cancel_everything(state) if what == "cancel" else 0
        await open_source(watched(settings, named), state, source)
        await notifications.notify(state, "acted")
    return cancelled
