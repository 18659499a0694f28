"""What the benchmarks stand on: one real Postgres, a fresh database for each of them."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from psycopg import AsyncConnection

from cdc.embedded import Postgres
from cdc.lsn import Lsn, parse
from tests.benchmarks import cpu
from tests.servers import Connection, Server

ROOT = Path(__file__).resolve().parents[2]
FUNCTIONS = Path(__file__).parent / "functions"

SETTINGS = {
    "fsync": "on",
    "synchronous_commit": "on",
    "shared_buffers": "1GB",
    "max_wal_size": "16GB",  # no checkpoint begins within a measurement: each is made beforehand, by `Database.settle`
    "checkpoint_timeout": "1h",
}

_PATIENCE = 120.0


@dataclass(frozen=True, slots=True)
class Database:
    """A database with both of the service's schemas; `conn` is an autocommit connection of the benchmark's own."""

    url: str
    conn: Connection
    postmaster: int

    async def run(self, *statements: str) -> None:
        for statement in statements:
            await self.conn.execute(statement.encode())

    async def ask(self, query: str, *values: Any) -> Any:
        """The first column of the one row that answers."""
        row = await (await self.conn.execute(query.encode(), values or None)).fetchone()
        assert row is not None
        return row[0]

    async def until(self, query: str, *values: Any, every: float = 0.02) -> None:
        """Ask, with pauses of so many seconds, until the answer is true."""
        async with asyncio.timeout(_PATIENCE):
            while not await self.ask(query, *values):  # noqa: ASYNC110 - other processes have no event for us
                await asyncio.sleep(every)

    async def written(self) -> Lsn:
        """How far the server's WAL reaches."""
        return parse(await self.ask("select pg_current_wal_insert_lsn()::text"))

    async def settle(self, *tables: str) -> None:
        """Empty these tables, and let the server write out what it has: measurements start alike."""
        if tables:
            await self.run(f"truncate {', '.join(tables)}")
        await self.run("checkpoint")


class Ground:
    """The server, started when it is first needed."""

    def __init__(self, *, quick: bool) -> None:
        self.quick = quick
        self.version = ""
        self._folder = Path(tempfile.mkdtemp(prefix="cdc-benchmarks-"))
        self._folder.chmod(0o711)  # when root runs this, the server's user has to pass through
        self._server: Server | None = None

    def size(self, usual: int, quick: int) -> int:
        """How much to measure with."""
        return quick if self.quick else usual

    @asynccontextmanager
    async def database(self) -> AsyncIterator[Database]:
        """A fresh database, dropped with its slots at the end."""
        server = await self._started()
        url = await server.create_database(migrated=True)
        try:
            async with await AsyncConnection.connect(url, autocommit=True) as conn:
                yield Database(url, conn, cpu.parent_of(conn.info.backend_pid))
        finally:
            await server.drop_database(url)

    async def _started(self) -> Server:
        if self._server is None:
            self._server = Server(Postgres(self._folder / "postgres", settings=SETTINGS))
            await self._server.postgres.start()
            async with await AsyncConnection.connect(self._server.postgres.url) as conn:
                self.version = conn.info.parameter_status("server_version") or ""
        return self._server

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._server is not None:
            await self._server.postgres.stop(immediate=True)
        shutil.rmtree(self._folder)
