"""The one door by which events enter.

One database transaction stores the events, creates a run for each function they start, and moves the checkpoint.
Only after it may the listener confirm (docs/delivery.md).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
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


class Also(NamedTuple):
    """What an accept does besides: `write` in its transaction; and `only` this function is started by the events."""

    write: Callable[[Connection], Awaitable[None]]
    only: str | None = None


class Door:
    """Accepts events over one connection, matching them against a cached copy of the registry.

    Whoever else asks it something waits for the accept under way: the connection speaks for one at a time.
    """

    def __init__(self, conn: Connection) -> None:
        self._conn = conn
        self._embedded: frozenset[Table] = frozenset()
        self._narrowing = Narrowing()
        self._turn = asyncio.Lock()
        self.registry = Registry.of(-1, [], self._embedded)

    async def refresh(self, embedded: frozenset[Table] | None = None) -> Registry:
        """Read the registry anew, with these embedded tables when they changed."""
        async with self._turn:
            if embedded is not None:
                self._embedded = embedded
            return await self._refreshed()

    async def _refreshed(self) -> Registry:
        self.registry = Registry.of(*await functions.registered(self._conn), self._embedded)
        return self.registry

    async def is_outdated(self) -> bool:
        """Whether functions changed since the registry was read."""
        async with self._turn:
            return await functions.version(self._conn) != self.registry.version

    async def take_over(self, checkpoint: Checkpoint) -> Checkpoint:
        """The checkpoint as it is now, for this door alone: others that held it are refused from now on."""
        async with self._turn:
            return await checkpoints.take_over(self._conn, checkpoint)

    async def accept(
        self, incoming: Sequence[Incoming], before: Checkpoint, after: Checkpoint, also: Also | None = None
    ) -> Accepted:
        """Store row events, create their runs, move the checkpoint from `before` to `after`; all or nothing.

        An event that is stored already is passed over, one that cannot be stored is set aside; the rest goes on.

        Raises:
            ListenerFenced: another listener moved the checkpoint; nothing was written.
            StatementFailed: the database failed; nothing was written.
        """
        try:
            return await self._transact(incoming, before, after, also)
        except EventRepeated:
            known = await store.stored(self._conn, incoming)
            if not known:
                raise
            log.warning("events repeated", count=len(known))
            return await self.accept([event for event in incoming if event.id not in known], before, after, also)
        except Deadlocked:
            return await self.accept(incoming, before, after, also)
        except StatementFailed as error:
            if not incoming or not about_a_value(error):
                raise
            return await self._accept_apart(incoming, before, after, also, error)

    async def _transact(
        self,
        incoming: Sequence[Incoming],
        before: Checkpoint,
        after: Checkpoint,
        also: Also | None,
        *,
        aside: tuple[Incoming, str] | None = None,
    ) -> Accepted:
        few = len(incoming) <= store.FEW
        async with self._turn, self._conn.pipeline() if few else nullcontext(), self._conn.transaction():
            await waits.lock_names(self._conn, accepted=intake.names(incoming))
            version = await checkpoints.advance(self._conn, before, after)
            if version is None:
                raise ListenerFenced(
                    "Another listener has moved this source's checkpoint.",
                    hint="Only one service listens to a slot; this one stops.",
                )
            registry_moved = version != self.registry.version
            if registry_moved:
                await self._refreshed()
            taken = Taken(0, due=False)
            if incoming:
                changed = await self._narrowing.judge(self._conn, self.registry, incoming, before.source_id)
                matching = self.registry.starting(also.only) if also and also.only else None
                taken = await intake.take(
                    self._conn,
                    self.registry,
                    incoming,
                    source_id=before.source_id,
                    changed=changed,
                    matching=matching,
                )
            if aside:
                await store.reject(self._conn, before.source_id, *aside)
            if also:
                await also.write(self._conn)
            faults.point("accept.before_commit")
        if incoming:
            self._narrowing.settled()
        faults.point("accept.committed")
        return Accepted(after, len(incoming), taken.runs, taken.due, registry_moved)

    async def _accept_apart(
        self,
        incoming: Sequence[Incoming],
        before: Checkpoint,
        after: Checkpoint,
        also: Also | None,
        error: StatementFailed,
    ) -> Accepted:
        """Halve until the guilty event stands alone; set that one aside."""
        if len(incoming) == 1:
            log.error(
                "event set aside",
                name=incoming[0].name,
                position=str(incoming[0].position),
                reason=type(error).__name__,
            )
            return await self._transact([], before, after, also, aside=(incoming[0], str(error)))
        middle = len(incoming) // 2
        position = incoming[middle - 1].position
        assert position is not None, "row events have a position"
        half = also and also._replace(write=_nothing)
        first = await self.accept(incoming[:middle], before, before.moved(position, before.end_lsn), half)
        second = await self.accept(incoming[middle:], first.checkpoint, after, also)
        return Accepted(
            second.checkpoint,
            first.events + second.events,
            first.runs + second.runs,
            first.due or second.due,
            first.registry_moved or second.registry_moved,
        )


async def _nothing(conn: Connection) -> None:
    """Written with the first half of what is accepted in two."""
