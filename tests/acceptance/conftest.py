"""What the tests of the running command share.

own_postgres   a server that a test may stop, set up and start as it likes; not started yet
write          writes a function file into the folder `functions`
functions      that folder, for CDC_FUNCTIONS
patient        database_url with a table of users, and the function PATIENT that follows it
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from textwrap import dedent

import pytest

from cdc.embedded import Postgres
from tests.acceptance.authored import PATIENT
from tests.acceptance.state import USERS
from tests.places import server_folder
from tests.servers import Connect, Connection, binaries

Write = Callable[[str, str], Path]
OwnPostgres = Callable[..., Postgres]


@pytest.fixture
def directory() -> Iterator[Path]:
    """For a server."""
    with server_folder() as folder:
        yield folder


@pytest.fixture
async def own_postgres(directory: Path) -> AsyncIterator[OwnPostgres]:
    """Makes a server of the newest version, with settings of its own."""
    async with AsyncExitStack() as made:

        def make(settings: Mapping[str, str] = {}) -> Postgres:
            postgres = Postgres(directory / "18", binaries=binaries("18"), settings={"fsync": "off", **settings})

            async def stop() -> None:
                await postgres.stop(immediate=True)

            made.push_async_callback(stop)
            return postgres

        yield make


@pytest.fixture
def functions(tmp_path: Path) -> Path:
    """A folder of function files."""
    folder = tmp_path / "functions"
    folder.mkdir()
    return folder


@pytest.fixture
def write(functions: Path) -> Write:
    """Writes a file into the folder of functions."""

    def write(name: str, text: str) -> Path:
        file = functions / name
        file.write_text(dedent(text))
        return file

    return write


@pytest.fixture
async def patient(connect: Connect, database_url: str, write: Write) -> Connection:
    """A connection to database_url, which has a table of users, followed by the function `patient`."""
    write("patient.py", PATIENT)
    conn = await connect(database_url)
    await conn.execute(USERS)
    return conn
