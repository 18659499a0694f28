"""The types of a watched database: read when the stream first speaks of them, and again when values do not fit."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence

from cdc.store import types as store
from cdc.store.connect import Connection
from cdc.store.types import Described
from cdc.wal.relations import Column
from cdc.wal.rows import Row, compile_row
from cdc.wal.transactions import Item, Transactions
from cdc.wal.types import Array, Composite, Domain, Scalar, Shape, Types, TypesWanted

FRESH = 60.0
"""Seconds. Composites are read again after: the server does not tell of a renamed attribute, and values still fit."""


class Catalog:
    """Keeps what was read of one database; `connect` opens an autocommit connection to it."""

    def __init__(self, connect: Callable[[], Awaitable[Connection]]) -> None:
        self._connect = connect
        self._read_at = 0.0
        self.types = Types(open=True)

    async def read_published(self, publication: str) -> None:
        """Read the types of all published tables in one go; those of tables to come are read with them."""
        async with await self._connect() as conn:
            oids = await store.published(conn, publication)
            self._renew(await _shapes(conn, self.types.composites.union(oids)))

    async def feed(self, transactions: Transactions, payloads: Sequence[bytes]) -> list[Item]:
        """What these messages amount to; types that are not known are read on the way.

        Raises:
            ProtocolError: a message cannot be read, or stands where it must not.
            DatabaseUnreachable, DatabaseRefused: nor can the catalog.
        """
        await self._refresh()
        if transactions.types is not self.types:
            transactions.learn(self.types)
        items = transactions.feed(payloads)
        while transactions.wanted:
            await self._learn(transactions.wanted)
            transactions.learn(self.types)
            items += transactions.feed(())
        return items

    async def rows(self, columns: tuple[Column, ...], tuples: Sequence[bytes]) -> list[Row]:
        """These rows of a table, read elsewhere than from the stream and written as it writes them (TupleData).

        Raises:
            ProtocolError: one cannot be read.
            DatabaseUnreachable, DatabaseRefused: nor can the catalog.
        """
        await self._refresh()
        while True:
            try:
                self.types.demand(column.type_oid for column in columns)
                decode = compile_row(columns, self.types)
                return [decode(data, 0)[0] for data in tuples]
            except TypesWanted as wanted:
                await self._learn(wanted.oids)

    async def _learn(self, oids: Iterable[int]) -> None:
        if not self.types.composites:
            self._read_at = asyncio.get_running_loop().time()
        self.types = self.types.learned(await self._read(oids))

    async def _refresh(self) -> None:
        is_stale = asyncio.get_running_loop().time() - self._read_at > FRESH
        if self.types.composites and is_stale:
            self._renew(await self._read(self.types.composites))

    async def _read(self, oids: Iterable[int]) -> dict[int, Shape]:
        async with await self._connect() as conn:
            return await _shapes(conn, oids)

    def _renew(self, shapes: dict[int, Shape]) -> None:
        self.types = self.types.renewed(shapes)
        self._read_at = asyncio.get_running_loop().time()


async def _shapes(conn: Connection, oids: Iterable[int]) -> dict[int, Shape]:
    """The shapes of these types; a type that is gone is a scalar."""
    wanted = list(oids)
    gone: dict[int, Shape] = dict.fromkeys(wanted, Scalar())
    return gone | {described.oid: _shape(described) for described in await store.described(conn, wanted)}


def _shape(described: Described) -> Shape:
    match described.kind:
        case "domain":
            return Domain(described.of)
        case "array":
            return Array(described.of, described.delimiter)
        case "composite":
            return Composite(tuple(zip(described.names, described.oids, strict=True)))
        case _:
            return Scalar(described.extension, described.name) if described.extension else Scalar()
