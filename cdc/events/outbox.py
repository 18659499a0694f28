"""The same door for events that are no row changes: accepted in the transaction of whoever sends them."""

from __future__ import annotations

from collections.abc import Sequence

from cdc.events.accept import new_id
from cdc.events.match import Registry
from cdc.store import events as store
from cdc.store import functions
from cdc.store.connect import Connection
from cdc.store.events import Incoming


class Outbox:
    """Accepts events with a cached copy of the registry, as the listener's door does; it has no checkpoint to move."""

    def __init__(self) -> None:
        self._registry = Registry.of(-1, [], frozenset())

    async def add(self, conn: Connection, incoming: Sequence[Incoming]) -> int:
        """Store events within the caller's transaction and create their runs; returns how many runs.

        What is stored already is passed over: the caller repeats a commit whose answer was lost.
        """
        if await functions.version(conn) != self._registry.version:
            self._registry = Registry.of(*await functions.registered(conn), frozenset())
        known = await store.stored(conn, incoming)
        fresh = [event for event in incoming if event.id not in known]
        runs = self._registry.runs(fresh, new_id)
        await store.insert_events(conn, None, fresh)
        await store.insert_runs(conn, runs)
        return len(runs)
