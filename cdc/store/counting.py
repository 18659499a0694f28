"""Counts what is stored over a connection in `cdc.tallies.counted`, once it is durable and never before.

Whatever stores something worth counting calls `count` behind its statement, whoever's transaction it is in.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from psycopg import AsyncConnection, AsyncTransaction
from psycopg.pq import TransactionStatus
from psycopg.pq.abc import PGconn

from cdc.tallies import Tallies, counted


class Counting(AsyncConnection[tuple[Any, ...]]):
    """A connection that keeps what was counted in a transaction until that is committed; rolled back, it never was."""

    def __init__(self, pgconn: PGconn) -> None:
        super().__init__(pgconn)
        self._undecided: list[Tallies] = []

    def count(self, book: Tallies) -> None:
        """Count what is in this book when what was stored last is durable."""
        self._undecided.append(book)
        self._decide()

    @asynccontextmanager
    async def transaction(
        self, savepoint_name: str | None = None, force_rollback: bool = False
    ) -> AsyncIterator[AsyncTransaction]:
        """Psycopg's own."""
        before = len(self._undecided)
        transaction: AsyncTransaction | None = None
        try:
            async with super().transaction(savepoint_name, force_rollback) as transaction:
                yield transaction
        finally:
            if transaction is None or transaction.status is not AsyncTransaction.Status.COMMITTED:
                del self._undecided[before:]
        self._decide()

    async def commit(self) -> None:
        """Psycopg's own."""
        await super().commit()
        self._decide()

    async def rollback(self) -> None:
        """Psycopg's own."""
        self._undecided.clear()
        await super().rollback()

    def _decide(self) -> None:
        if self._undecided and self.pgconn.transaction_status == TransactionStatus.IDLE:
            for book in self._undecided:
                counted.take(book.counts())
            self._undecided.clear()


def count(conn: AsyncConnection[Any], book: Tallies) -> None:
    """Count what is in this book when what was stored last over the connection is durable.

    Connections that are not this service's own, of a function's author, say, count nothing.
    """
    if isinstance(conn, Counting):
        conn.count(book)
