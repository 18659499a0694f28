"""The memos of a live run read again: an app may have recorded steps of it meanwhile (checkpoints of its SDK)."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping

from cdc.store import runs
from cdc.store.connect import Connection
from cdc.store.runs import Memo


class Rereading:
    """Reads over a connection of its own, made when it is first needed."""

    def __init__(self, connect: Callable[[], Awaitable[Connection]]) -> None:
        self._connect = connect
        self._conn: Connection | None = None
        self._turn = asyncio.Lock()

    async def memos(self, run_id: str) -> Mapping[str, Memo]:
        """What is recorded of a run's steps, those that ended in the order in which they did.

        Raises:
            ConnectionTrouble, DatabaseUnreachable: the database is away.
        """
        async with self._turn:
            if self._conn is None or self._conn.closed:
                self._conn = await self._connect()
            return (await runs.memos(self._conn, [run_id])).get(run_id, {})

    async def close(self) -> None:
        """Hang up."""
        if self._conn is not None:
            await self._conn.close()
