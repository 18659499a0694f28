"""What the tests of the running command share.

own_postgres   a server that a test may stop, set up and start as it likes, always on the same port; not started yet
write          writes a function file into the folder `functions`
functions      that folder, for CDC_FUNCTIONS
patient        database_url with a table of users, and the function PATIENT that follows it
only_woken     settings with which a worker never looks for runs by itself: what it does, somebody woke it for
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from textwrap import dedent

import pytest

from cdc.embedded import Postgres
from cdc.engine import claims
from tests.acceptance.authored import PATIENT
from tests.acceptance.service import Settings
from tests.acceptance.state import USERS
from tests.places import server_folder
from tests.ports import free_port
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
            postgres = Postgres(
                directory / "18", binaries=binaries("18"), port=free_port(), settings={"fsync": "off", **settings}
            )

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
    """Writes a file into the folder of functions: all of it at once, for who watches the folder."""

    def write(name: str, text: str) -> Path:
        file = functions / name
        aside = file.with_suffix(".new")
        aside.write_text(dedent(text))
        return aside.replace(file)

    return write


ONLY_WOKEN = """
    from cdc.engine import claims

    claims.POLL = 3600.0
"""


@pytest.fixture
def only_woken(tmp_path: Path) -> Settings:
    """For `running`: idle workers do not poll."""
    assert claims.POLL < 3600.0, "this is what they wait for"
    folder = tmp_path / "only woken"
    folder.mkdir()
    (folder / "sitecustomize.py").write_text(dedent(ONLY_WOKEN))
    return {"PYTHONPATH": f"{folder}{os.pathsep}{Path(__file__).parents[2]}"}


@pytest.fixture
async def patient(connect: Connect, database_url: str, write: Write) -> Connection:
    """A connection to database_url, which has a table of users, followed by the function `patient`."""
    write("patient.py", PATIENT)
    conn = await connect(database_url)
    await conn.execute(USERS)
    return conn
