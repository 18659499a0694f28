"""What was taken from the stream becomes durable while the next of it is read: one accept at a time, one batch ahead.

Taking turns, reader and database would each wait for the other: both cost about as much as the other for a row.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from cdc import tracing
from cdc.events import traces
from cdc.events.accept import Accepted, Also, Door
from cdc.lsn import Lsn, Position
from cdc.store.checkpoints import Checkpoint
from cdc.store.events import Incoming

MOST = 20_000
"""Events in one accept."""

MOST_BYTES = 16 * 1024 * 1024
"""Event data in one accept."""

_TOLD_AT_ONCE = 500
"""Events whose spans are made without a breath for the rest of the process."""


class Accepting:
    """Gathers events and the place that they reach to, and hands them to the door.

    `checkpoint` is what is durable, `position` the last added, `end_lsn` how far transactions were added whole;
    `source` is the name of where all of it comes from.

    `on_accepted` is awaited after each accept, before the next one begins; `on_end` is called whenever one has ended,
    so that whoever waits for the stream comes round to `start` and `settle`.
    """

    def __init__(
        self,
        door: Door,
        checkpoint: Checkpoint,
        source: str,
        *,
        on_accepted: Callable[[Accepted], Awaitable[None]],
        on_end: Callable[[], None],
    ) -> None:
        self.checkpoint = checkpoint
        self.position = checkpoint.position
        self.end_lsn = checkpoint.end_lsn
        self._door = door
        self._source = source
        self._on_accepted = on_accepted
        self._on_end = on_end
        self._events: list[Incoming] = []
        self._bytes = 0
        self._under_way: asyncio.Task[None] | None = None

    def add(self, event: Incoming) -> None:
        """An event to accept; `passed` says where it stands."""
        self._events.append(event)
        self._bytes += len(event.data)

    def passed(self, position: Position) -> None:
        """Everything up to this position was added."""
        self.position = position

    def ended(self, end_lsn: Lsn) -> None:
        """Every transaction that ends before this LSN was added whole."""
        self.end_lsn = max(self.end_lsn, end_lsn)

    @property
    def is_full(self) -> bool:
        """Whether as much is gathered as one accept takes."""
        return len(self._events) >= MOST or self._bytes >= MOST_BYTES

    @property
    def is_empty(self) -> bool:
        """Whether everything is durable, and nothing is under way."""
        return self._under_way is None and self._reached == self.checkpoint

    def start(self, also: Also | None = None) -> None:
        """Begin to accept what is gathered, unless an accept is under way.

        Raises:
            ListenerFenced, StatementFailed, CdcError: as the last accept did, or what followed it.
        """
        if self._under_way is not None and self._under_way.done():
            ended, self._under_way = self._under_way, None
            ended.result()
        if self._under_way is None and self._reached != self.checkpoint:
            events, self._events, self._bytes = self._events, [], 0
            self._under_way = asyncio.create_task(self._accept(events, self._reached, also), name="accept")
            self._under_way.add_done_callback(lambda _: self._on_end())

    async def pause(self, seconds: float) -> None:
        """Wait for the accept under way, if there is one, so long at most."""
        if self._under_way is not None:
            await asyncio.wait({self._under_way}, timeout=seconds)

    async def hand_over(self, also: Also | None = None) -> None:
        """Wait for the accept under way, then begin the next.

        Raises:
            ListenerFenced, StatementFailed, CdcError: as `start`.
        """
        if self._under_way is not None:
            await asyncio.wait({self._under_way})
        self.start(also)

    async def settle(self, also: Also | None = None) -> None:
        """Wait until everything gathered is durable, and what is to be done besides.

        Raises:
            ListenerFenced, StatementFailed, CdcError: as `start`.
        """
        while not self.is_empty:
            await self.hand_over(also)
            also = None

    def cancel(self) -> None:
        """Break off the accept under way."""
        if self._under_way is not None:
            self._under_way.cancel()

    async def end(self) -> None:
        """Wait for the accept under way, however it ends; what else is gathered is given up: it will come again."""
        if self._under_way is not None:
            await asyncio.gather(self._under_way, return_exceptions=True)

    @property
    def _reached(self) -> Checkpoint:
        return self.checkpoint.moved(self.position, self.end_lsn)

    async def _accept(self, events: list[Incoming], reached: Checkpoint, also: Also | None) -> None:
        accepted = await self._door.accept(events, self.checkpoint, reached, also)
        self.checkpoint = accepted.checkpoint
        await self._on_accepted(accepted)
        if tracing.on():
            await self._trace(events)

    async def _trace(self, events: list[Incoming]) -> None:
        for first in range(0, len(events), _TOLD_AT_ONCE):
            traces.accepted(events[first : first + _TOLD_AT_ONCE], self._source)
            await asyncio.sleep(0)
