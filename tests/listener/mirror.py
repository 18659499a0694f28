"""Reads rows back from the stream, with the types of the database that they come from."""

from __future__ import annotations

import asyncio
from typing import Any

import orjson
from psycopg import AsyncConnection

from cdc.listener.catalog import Catalog
from cdc.wal.stream import ReplicationStream
from cdc.wal.transactions import Change, Committed, Transactions
from tests.listener.source import START, Source
from tests.servers import Connection


class Mirror:
    """What a stream amounts to; `reads` counts how often the catalog was read."""

    def __init__(self, source: Source, stream: ReplicationStream) -> None:
        self.source = source
        self.reads = 0
        self._stream = stream
        self.catalog = Catalog(self._connection)
        self._transactions = Transactions(START, self.catalog.types)

    async def rows(self, *, commits: int = 1) -> list[Any]:
        """The new rows of so many transactions, as JSON."""
        found: list[Any] = []
        counted = 0
        async with asyncio.timeout(60):
            while commits > 0:
                for item in await self.catalog.feed(self._transactions, await self._stream.receive()):
                    # Postgres 14 tells of transactions without rows, too.
                    if isinstance(item, Committed) and len(found) > counted:
                        commits, counted = commits - 1, len(found)
                    if isinstance(item, Change):
                        found.append(orjson.loads(orjson.dumps(item.new)))
        return found

    async def _connection(self) -> Connection:
        self.reads += 1
        return await AsyncConnection.connect(self.source.url, autocommit=True)
