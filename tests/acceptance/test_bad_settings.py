"""Settings that cannot be used are refused by name, before anything else happens."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from tests.acceptance.service import refused
from tests.servers import Connect

NOWHERE = "postgresql://somebody:open-sesame@127.0.0.1:1/app"


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("CDC_PORT", "abc", "valid integer"),
        ("CDC_WORKERS", "-1", "greater than or equal to 0"),
        ("CDC_LOG_LEVEL", "loud", "'debug', 'info', 'warning' or 'error'"),
    ],
)
async def test_a_value_that_is_not_usable_is_refused_by_the_name_of_its_variable(
    name: str, value: str, says: str
) -> None:
    done = await refused(
        "run", code=78, says=says, hint="docs/configuration.md", **{"DATABASE_URL": NOWHERE, name: value}
    )
    assert done.told[0].startswith(f"cdc: {name} is not usable: ")


async def test_a_folder_that_is_not_there_is_refused_before_the_database_is_tried(tmp_path: Path) -> None:
    done = await refused(
        "run",
        code=78,
        says=f"CDC_FUNCTIONS names {tmp_path / 'nowhere'}",
        hint="Create it",
        DATABASE_URL=NOWHERE,
        CDC_FUNCTIONS=f"{tmp_path}:{tmp_path / 'nowhere'}",
    )
    assert not done.logged


async def test_a_port_that_is_taken_is_refused_before_there_is_a_slot(connect: Connect, database_url: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        await refused(
            "run",
            code=78,
            says=f"Port {port} cannot be used on 127.0.0.1",
            hint="CDC_PORT",
            DATABASE_URL=database_url,
            CDC_PORT=str(port),
        )
    assert not await slots(connect, database_url)


async def slots(connect: Connect, url: str) -> list[tuple[str]]:
    conn = await connect(url)
    cursor = await conn.execute("select slot_name from pg_replication_slots where database = current_database()")
    return await cursor.fetchall()
