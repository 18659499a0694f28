"""Requests that come at the same time share a transaction, as steps share one in the journal: a commit each is slow."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from enum import Enum

from cdc.events import posted
from cdc.events.outbox import Outbox
from cdc.store.connect import Connection
from cdc.store.events import Incoming
from cdc.store.failures import ConnectionTrouble, StatementFailed, about_a_value
from cdc.web.room import Place

MOST = 5000
"""Events in one transaction, or those of one request."""

MOST_BYTES = 16 * 1024 * 1024
"""Of their data, or of that of one request."""

_MANY = 500
"""So many that wait have a second transaction begin before the first one ends. Fewer are better off together."""

PATIENCE = 8.0
"""Seconds that a request waits for the database: many clients give up after ten, and would not hear of it."""


class NotStored(Exception):
    """The database was not there in time: nothing of the request is stored, or will be."""


class Unsure(Exception):
    """The database did not say in time, or in the end: the events may be stored, or may be in a moment."""


class _Left(Enum):
    """How a request came to its end without the database refusing it."""

    STORED, NOT_STORED, UNSURE = range(3)


@dataclass(frozen=True, slots=True, eq=False)
class _Request:
    events: Sequence[Incoming]
    size: int
    place: Place
    ended: asyncio.Future[_Left | Exception]


class Gathering:
    """Takes in the events of many requests. `wake` is called when runs became due."""

    def __init__(
        self,
        connection: Callable[[], AbstractAsyncContextManager[Connection]],
        wake: Callable[[], None],
        *,
        patience: float = PATIENCE,
    ) -> None:
        self._connection = connection
        self._wake = wake
        self._patience = patience
        self._outbox = Outbox()
        self._waiting: dict[_Request, None] = {}
        self._count = 0
        self._writers = 0
        self._writing: set[asyncio.Task[None]] = set()

    async def take(self, events: Sequence[Incoming], size: int, place: Place) -> None:
        """Take events in, whose data has `size` bytes; durable on return.

        Raises:
            StatementFailed: the database failed, or cannot store one of them; none was accepted.
            NotStored, Unsure: it was not there.
        """
        loop = asyncio.get_running_loop()
        request = _Request(events, size, place, loop.create_future())
        self._waiting[request] = None
        self._count += len(events)
        self._write_more()
        overdue = loop.call_later(self._patience, self._give_up, request)
        try:
            left = await request.ended
        finally:
            overdue.cancel()
            self._forget(request)
        # Raised here, not by the future: with its traceback it would keep the events until garbage is looked for.
        if left is _Left.NOT_STORED:
            raise NotStored
        if left is _Left.UNSURE:
            raise Unsure
        if left is not _Left.STORED:
            try:
                raise left
            finally:
                del left, request

    def _give_up(self, request: _Request) -> None:
        _end([request], _Left.NOT_STORED if self._forget(request) else _Left.UNSURE)

    def _forget(self, request: _Request) -> bool:
        """Wait no longer for its turn; whether it still did."""
        if request not in self._waiting:
            return False
        del self._waiting[request]
        self._count -= len(request.events)
        return True

    def _write_more(self) -> None:
        if not self._writers or (self._count >= _MANY and self._writers < 2):
            self._writers += 1
            writing = asyncio.create_task(self._write())
            self._writing.add(writing)
            writing.add_done_callback(self._writing.discard)

    async def _write(self) -> None:
        try:
            while self._waiting:
                async with self._connection() as conn:
                    await self._write_next(conn)
        except ConnectionTrouble:  # there is no connection to be had; what a transaction meets was told to its requests
            for request in list(self._waiting):
                self._give_up(request)
        finally:  # not when the task is seen to have ended: what comes until then would be written by nobody
            self._writers -= 1

    async def _write_next(self, conn: Connection) -> None:
        batch = self._next()
        for request in batch:
            request.place.share()
        try:
            await self._accept(conn, batch)
        finally:
            for request in batch:
                request.place.leave()

    def _next(self) -> list[_Request]:
        batch: list[_Request] = []
        events, size = 0, 0
        for request in self._waiting:
            events, size = events + len(request.events), size + request.size
            if batch and (events > MOST or size > MOST_BYTES):
                break
            batch.append(request)
        for request in batch:
            self._forget(request)
        return batch

    async def _accept(self, conn: Connection, batch: Sequence[_Request]) -> None:
        """In one transaction; when a value is to blame, halved until the guilty request stands alone."""
        try:
            await self._transact(conn, batch)
        except Exception as error:  # noqa: BLE001 - whatever it is, those who wait are told
            if len(batch) > 1 and isinstance(error, StatementFailed) and about_a_value(error):
                middle = len(batch) // 2
                await self._accept(conn, batch[:middle])
                await self._accept(conn, batch[middle:])
                return
            _end(batch, _Left.UNSURE if isinstance(error, ConnectionTrouble) else error)
        else:
            _end(batch, _Left.STORED)

    async def _transact(self, conn: Connection, batch: Sequence[_Request]) -> None:
        events = {event.id: event for request in batch for event in request.events}
        taken = await posted.take(conn, self._outbox, list(events.values()))
        if taken.due:
            self._wake()


def _end(batch: Sequence[_Request], left: _Left | Exception) -> None:
    """Tell those who still wait."""
    for request in batch:
        if not request.ended.done():
            request.ended.set_result(left)
