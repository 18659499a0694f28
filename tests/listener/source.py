"""A watched database for the tests of the stream."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from cdc.lsn import Lsn, Position, parse
from cdc.wal.slot import create_slot
from cdc.wal.stream import ReplicationStream
from cdc.wal.transactions import Change, Committed, Item, Transactions
from tests.servers import Connect, Connection
from tests.waiting import eventually

START = Position(0, -1)


class Source:
    """A database with a publication `p` and a slot `s`, made in this order."""

    def __init__(self, url: str, connection: Connection) -> None:
        self.url = url
        self.connection = connection

    async def run(self, *statements: str) -> None:
        for statement in statements:
            await self.connection.execute(statement.encode())

    async def ask(self, query: str) -> Any:
        row = await (await self.connection.execute(query.encode())).fetchone()
        assert row is not None
        return row[0]

    async def open(
        self,
        *,
        start: Lsn = 0,
        url: str = "",
        publications: Sequence[str] = ("p",),
        status_interval: float = 5.0,
        answers_within: float = 60.0,
    ) -> ReplicationStream:
        return await ReplicationStream.open(
            url or self.url,
            slot="s",
            publications=publications,
            start=start,
            status_interval=status_interval,
            answers_within=answers_within,
        )

    async def confirmed(self) -> Lsn:
        return parse(await self.ask("select confirmed_flush_lsn::text from pg_replication_slots where slot_name = 's'"))

    async def has_confirmed(self, lsn: Lsn) -> bool:
        return await self.confirmed() == lsn

    async def has_sent_everything(self) -> bool:
        """The server has sent all that it has written, or has given up."""
        query = "select bool_and(state = 'startup' or sent_lsn >= pg_current_wal_lsn()) from pg_stat_replication"
        return await self.ask(query) is not False

    async def is_told(self, times: int = 5) -> None:
        """Wait until the server has heard so often of who reads, though nothing is taken from it meanwhile."""
        query = (
            "select max(reply_time)::text from pg_stat_replication r"
            " join pg_replication_slots s on s.active_pid = r.pid where s.database = current_database()"
        )
        heard = set()

        async def so_often() -> bool:
            heard.add(await self.ask(query))
            return len(heard - {None}) > times

        await eventually(so_often, within=60, what="the server hears of its reader")

    async def is_read(self) -> bool:
        return bool(await self.ask("select active from pg_replication_slots where slot_name = 's'"))


async def publish(url: str, connect: Connect, *ddl: str, options: str = "") -> Source:
    """Runs the statements, publishes the table t, then makes the slot."""
    source = Source(url, await connect(url))
    await source.run(*ddl, f"create publication p for table t {options}")
    await create_slot(url, "s")
    return source


class Reader:
    """Reads one stream: the tables it announces are remembered from call to call."""

    def __init__(self, stream: ReplicationStream, resume_after: Position = START) -> None:
        self.stream = stream
        self._transactions = Transactions(resume_after)

    async def items(self, *, commits: int = 1) -> list[Item]:
        """What comes until so many transactions have been committed.

        One without rows or messages is left out: up to Postgres 14 the server tells of those, its autovacuum's too.
        """
        items: list[Item] = []
        brought = False
        async with asyncio.timeout(60):
            while commits > 0:
                for item in self._transactions.feed(await self.stream.receive()):
                    if not isinstance(item, Committed):
                        items.append(item)
                        # A message that stands alone is not of the transaction whose end comes next.
                        brought |= item.header is not None
                    elif brought:
                        items.append(item)
                        commits -= 1
                        brought = False
        return items

    async def changes(self, *, commits: int = 1) -> list[Change]:
        """The same, changes only."""
        return [item for item in await self.items(commits=commits) if isinstance(item, Change)]
