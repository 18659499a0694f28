"""Connections that end themselves when an answer does not come: a network may swallow it without a word.

TCP notices a peer that is gone. It does not notice a proxy, a firewall or a server that stands still and keeps the
connection open; only a limit on the answer does.
"""

from __future__ import annotations

import asyncio
import math
import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, TypeVar

import psycopg
from psycopg import AsyncConnection
from psycopg.abc import PQGen

from cdc.store.counting import Counting
from cdc.store.queries import text

T = TypeVar("T")

TCP: dict[str, Any] = {
    "keepalives_idle": 30,
    "keepalives_interval": 10,
    "keepalives_count": 3,
    "tcp_user_timeout": 60_000,
}
"""A peer that vanished is noticed within a minute; Linux alone would take hours."""


class Bounded(Counting):
    """What waits for the server longer than its limit fails as it does when the server is gone."""

    _limit = math.inf

    async def bound(self, answers: float, silence: float | None) -> None:
        """Limits in seconds: ours for the server's `answers`, the server's for our `silence` in a transaction.

        Through a transaction pooler there is no session for which the server could keep one.
        """
        self._limit = answers
        if silence is not None:
            await self.execute(text("server/bound"), {"milliseconds": str(math.ceil(silence * 1000))})

    async def wait(self, gen: PQGen[T], *args: Any, **options: Any) -> T:
        """Psycopg's own, within the limit."""
        if self._limit == math.inf:
            return await super().wait(gen, *args, **options)
        overdue = asyncio.get_running_loop().call_later(self._limit, hang_up, self)
        try:
            return await super().wait(gen, *args, **options)
        finally:
            overdue.cancel()


@contextmanager
def answering(conn: psycopg.Connection[Any], within: float) -> Iterator[None]:
    """The same for a block on a synchronous connection."""
    overdue = threading.Timer(within, hang_up, [conn])
    overdue.daemon = True
    overdue.start()
    try:
        yield
    finally:
        overdue.cancel()


def hang_up(conn: psycopg.Connection[Any] | AsyncConnection[Any]) -> None:
    """Shut the socket down under a connection; from any thread. Whoever waits for an answer sees the end of it."""
    with suppress(OSError, psycopg.Error), socket.socket(fileno=os.dup(conn.fileno())) as line:
        line.shutdown(socket.SHUT_RDWR)
