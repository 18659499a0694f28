"""Requests that come at the same time share a transaction, as steps share one in the journal: a commit each is slow."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass

from cdc.events.hands import Hands
from cdc.events.outbox import Outbox
from cdc.store.connect import Connection
from cdc.store.events import Incoming
from cdc.store.failures import StatementFailed, about_a_value

MOST = 5000
"""Events in one transaction, or those of one request."""


@dataclass(frozen=True, slots=True)
class _Request:
    events: Sequence[Incoming]
    accepted: asyncio.Future[None]


class Gathering:
    """Takes in the events of many requests. `wake` is called when runs became due."""

    def __init__(
        self, connection: Callable[[], AbstractAsyncContextManager[Connection]], wake: Callable[[], None]
    ) -> None:
        self._connection = connection
        self._wake = wake
        self._outbox = Outbox()
        self._waiting: list[_Request] = []
        self._writing: asyncio.Task[None] | None = None

    async def take(self, events: Sequence[Incoming]) -> None:
        """Take events in; durable on return.

        Raises:
            StatementFailed: the database failed, or cannot store one of them; none was accepted.
        """
        accepted = asyncio.get_running_loop().create_future()
        self._waiting.append(_Request(events, accepted))
        if self._writing is None or self._writing.done():
            self._writing = asyncio.create_task(self._write())
        await accepted

    async def _write(self) -> None:
        while self._waiting:
            await self._accept(self._next())

    def _next(self) -> list[_Request]:
        count, events = 0, 0
        for request in self._waiting:
            events += len(request.events)
            if count and events > MOST:
                break
            count += 1
        batch, self._waiting = self._waiting[:count], self._waiting[count:]
        return batch

    async def _accept(self, batch: Sequence[_Request]) -> None:
        """In one transaction; when a value is to blame, each request in one of its own."""
        try:
            await self._transact({event.id: event for request in batch for event in request.events}.values())
        except Exception as error:  # noqa: BLE001 - whatever it is, those who wait are told
            if len(batch) > 1 and isinstance(error, StatementFailed) and about_a_value(error):
                for request in batch:
                    await self._accept([request])
                return
            for request in batch:
                if not request.accepted.done():
                    request.accepted.set_exception(error)
        else:
            for request in batch:
                if not request.accepted.done():
                    request.accepted.set_result(None)

    async def _transact(self, events: Iterable[Incoming]) -> None:
        async with self._connection() as conn:
            taken = await Hands(conn, self._outbox).take(list(events))
        if taken.due:
            self._wake()
