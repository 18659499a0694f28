"""What the routes of SDKs work with."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass

from cdc.events.hands import Hands
from cdc.events.outbox import Outbox
from cdc.store.connect import Connection


@dataclass(frozen=True, slots=True)
class Service:
    """The state database, and what tells the workers that something may be due."""

    state: Callable[[], AbstractAsyncContextManager[Connection]]
    wake: Callable[[], None]
    outbox: Outbox

    @asynccontextmanager
    async def hands(self) -> AsyncIterator[Hands]:
        """What acts on runs and functions; at the end of the block the workers look what is due or cancelled."""
        async with self.state() as conn:
            yield Hands(conn, self.outbox)
        self.wake()
