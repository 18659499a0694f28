"""Databases for the tests: real servers, one fresh database a test.

database_url        an empty database on Postgres 18 with pgvector
any_database_url    the same on 18, then on 15
every_database_url  the same on 18, 17, 16, 15 and 14: for what depends on the server
migrated_url        as database_url, with both sets of migrations applied
any_migrated_url    the same on 18, then on 15
every_migrated_url  the same on 18, 17, 16, 15 and 14
connect             opens autocommit connections that are closed when the test ends
server              the server on which database_url and migrated_url live
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import hypothesis
import pytest
import pytest_asyncio
from psycopg import AsyncConnection

# A machine that is busy with something else is no reason to fail.
_BUSY = hypothesis.settings(deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow])
hypothesis.settings.register_profile("any-machine", _BUSY)
hypothesis.settings.register_profile("same-examples", _BUSY, derandomize=True)
hypothesis.settings.load_profile("any-machine")

for name in list(os.environ):
    if name == "DATABASE_URL" or name.startswith(
        (
            "CDC_",
            "OPENAI_",
            "ANTHROPIC_",
            "GEMINI_",
            "GOOGLE_",
            "AZURE_",
            "VOYAGE_",
            "COHERE_",
            "CO_API_KEY",
            "OTEL_",
            "PG",
        )
    ):
        del os.environ[name]

from cdc.embedded import server as embedded  # noqa: E402 - after the scrubbing
from tests.places import server_folder  # noqa: E402 - after the scrubbing
from tests.ports import free_port  # noqa: E402 - after the scrubbing
from tests.servers import (  # noqa: E402 - after the scrubbing
    EVERY_VERSION,
    VERSIONS,
    Connect,
    Connection,
    Server,
    Servers,
    Version,
    missing,
)

# A server that was stopped comes back on its port: on none that anybody else is given meanwhile.
embedded._free_port = free_port


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say once and loudly what was not tested; the reasons of single tests are easily overlooked."""
    if missing():
        terminalreporter.section(f"NOT TESTED: Postgres {', '.join(missing())}", red=True, bold=True)
        for reason in missing().values():
            terminalreporter.line(reason, red=True)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def servers() -> AsyncIterator[Servers]:
    """The servers of this session; use `server` or one of the URLs instead."""
    with server_folder() as folder:
        started = Servers(folder)
        try:
            yield started
        finally:
            await started.stop()


@pytest.fixture
async def server(servers: Servers) -> Server:
    """Postgres 18 with pgvector, shared by all tests of the session: do not stop it."""
    return await servers.get("18")


@pytest.fixture(params=VERSIONS)
async def any_server(servers: Servers, request: pytest.FixtureRequest) -> Server:
    """Postgres 18, then 15."""
    version: Version = request.param
    return await servers.get(version)


@pytest.fixture(params=EVERY_VERSION)
async def every_server(servers: Servers, request: pytest.FixtureRequest) -> Server:
    """Postgres 18, then 17, 16, 15 and 14; those that could not be fetched are skipped."""
    version: Version = request.param
    return await servers.get(version)


@pytest.fixture
async def database_url(server: Server) -> AsyncIterator[str]:
    """The URL of an empty database on Postgres 18."""
    url = await server.create_database()
    yield url
    await server.drop_database(url)


@pytest.fixture
async def any_database_url(any_server: Server) -> AsyncIterator[str]:
    """The URL of an empty database on Postgres 18, then on 15."""
    url = await any_server.create_database()
    yield url
    await any_server.drop_database(url)


@pytest.fixture
async def every_database_url(every_server: Server) -> AsyncIterator[str]:
    """The URL of an empty database on each of the versions."""
    url = await every_server.create_database()
    yield url
    await every_server.drop_database(url)


@pytest.fixture
async def migrated_url(server: Server) -> AsyncIterator[str]:
    """The URL of a database with both schemas on Postgres 18."""
    url = await server.create_database(migrated=True)
    yield url
    await server.drop_database(url)


@pytest.fixture
async def any_migrated_url(any_server: Server) -> AsyncIterator[str]:
    """The URL of a database with both schemas on Postgres 18, then on 15."""
    url = await any_server.create_database(migrated=True)
    yield url
    await any_server.drop_database(url)


@pytest.fixture
async def every_migrated_url(every_server: Server) -> AsyncIterator[str]:
    """The URL of a database with both schemas on each of the versions."""
    url = await every_server.create_database(migrated=True)
    yield url
    await every_server.drop_database(url)


@pytest.fixture
async def connect() -> AsyncIterator[Connect]:
    """Opens autocommit connections; they are closed when the test ends."""
    async with AsyncExitStack() as opened:

        async def connect(url: str) -> Connection:
            connection = await AsyncConnection.connect(url, autocommit=True)
            opened.push_async_callback(connection.close)
            return connection

        yield connect
