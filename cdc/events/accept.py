"""The one door by which events enter.

One database transaction stores the events, creates a run for each function they start, and moves the checkpoint.
Only after it may the listener confirm (docs/delivery.md).
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from typing import NamedTuple

import structlog

from cdc import faults
from cdc.errors import ListenerFenced
from cdc.events import intake
from cdc.events.intake import Taken
from cdc.events.match import Registry, Table
from cdc.events.narrowing import Narrowing
from cdc.store import checkpoints, functions, waits
from cdc.store import events as store
from cdc.store.checkpoints import Checkpoint
from cdc.store.connect import Connection
from cdc.store.events import Incoming
from cdc.store.failures import Deadlocked, EventRepeated, StatementFailed, about_a_value

log = structlog.get_logger(__name__)


class Accepted(NamedTuple):
    """What one accept did."""

    checkpoint: Checkpoint
    events: int
    runs: int
    due: bool
    """Whether runs may be claimed now: new ones, or others that go on."""
    registry_moved: bool
    """Whether functions were registered or archived since the accept before."""


class Door:
    """Accepts events over one connection, matching them against a cached copy of the registry."""

    def __init__(self, conn: Connection) -> None:
        self._conn = conn
        self._embedded: frozenset[Table] = frozenset()
        self._narrowing = Narrowing()
        self.registry = Registry.of(-1, [], self._embedded)

    async def refresh(self, embedded: frozenset[Table] | None = None) -> Registry:
        """Read the registry anew, with these embedded tables when they changed."""
        if embedded is not None:
            self._embedded = embedded
        self.registry = Registry.of(*await functions.registered(self._conn), self._embedded)
        return self.registry

    async def is_outdated(self) -> bool:
        """Whether functions changed since the registry was read."""
        return await functions.version(self._conn) != self.registry.version

    async def take_over(self, checkpoint: Checkpoint) -> Checkpoint:
        """The checkpoint as it is now, for this door alone: others that held it are refused from now on."""
        return await checkpoints.take_over(self._conn, checkpoint)

    async def accept(self, incoming: Sequence[Incoming], before: Checkpoint, after: Checkpoint) -> Accepted:
        """Store row events, create their runs, move the checkpoint from `before` to `after`; all or nothing.

        An event that is stored already is passed over, one that cannot be stored is set aside; the rest goes on.

        Raises:
            ListenerFenced: another listener moved the checkpoint; nothing was written.
            StatementFailed: the database failed; nothing was written.
        """
        try:
            return await self._transact(incoming, before, after)
        except EventRepeated:
            known = await store.stored(self._conn, incoming)
            if not known:
                raise
            log.warning("events repeated", count=len(known))
            return await self.accept([event for event in incoming if event.id not in known], before, after)
        except Deadlocked:
            return await self.accept(incoming, before, after)
        except StatementFailed as error:
            if not incoming or not about_a_value(error):
                raise
            return await self._accept_apart(incoming, before, after, error)

    async def _transact(
        self,
        incoming: Sequence[Incoming],
        before: Checkpoint,
        after: Checkpoint,
        *,
        aside: tuple[Incoming, str] | None = None,
    ) -> Accepted:
        few = len(incoming) <= store.FEW
        async with self._conn.pipeline() if few else nullcontext(), self._conn.transaction():
            await waits.lock_names(self._conn, accepted=intake.names(incoming))
            version = await checkpoints.advance(self._conn, before, after)
            if version is None:
                raise ListenerFenced(
                    "Another listener has moved this source's checkpoint.",
                    hint="Only one service listens to a slot; this one stops.",
                )
            registry_moved = version != self.registry.version
            if registry_moved:
                await self.refresh()
            taken = Taken(0, due=False)
            if incoming:
                changed = await self._narrowing.judge(self._conn, self.registry, incoming, before.source_id)
                taken = await intake.take(
                    self._conn, self.registry, incoming, source_id=before.source_id, changed=changed
                )
            if aside:
                await store.reject(self._conn, before.source_id, *aside)
            faults.point("accept.before_commit")
        if incoming:
            self._narrowing.settled()
        faults.point("accept.committed")
        return Accepted(after, len(incoming), taken.runs, taken.due, registry_moved)

    async def _accept_apart(
        self, incoming: Sequence[Incoming], before: Checkpoint, after: Checkpoint, error: StatementFailed
    ) -> Accepted:
        """Halve until the guilty event stands alone; set that one aside."""
        if len(incoming) == 1:
            log.error(
                "event set aside",
                name=incoming[0].name,
                position=str(incoming[0].position),
                reason=type(error).__name__,
            )
            return await self._transact([], before, after, aside=(incoming[0], str(error)))
        middle = len(incoming) // 2
        position = incoming[middle - 1].position
        assert position is not None, "row events have a position"
        first = await self.accept(incoming[:middle], before, before.moved(position, before.end_lsn))
        second = await self.accept(incoming[middle:], first.checkpoint, after)
        return Accepted(
            second.checkpoint,
            first.events + second.events,
            first.runs + second.runs,
            first.due or second.due,
            first.registry_moved or second.registry_moved,
        )
