"""Records what servers send for recorded/scenario.sql, and what that amounts to.

    python -m tests.unit.wal.record [version ...]     records anew, by default every version that is at hand
    python -m tests.unit.wal.record story             writes recorded/story.json only: when values look otherwise now

Read the change of story.json before it is committed: it is what the tests expect of every version.
"""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any, cast

import orjson
from psycopg import AsyncConnection

from cdc.embedded import Postgres
from cdc.lsn import Position
from cdc.wal.connection import connect
from cdc.wal.slot import create_slot
from cdc.wal.transactions import Change, Item, Message, Transactions
from tests.servers import EVERY_VERSION, Version, binaries, missing
from tests.unit.wal.wire import RECORDED, recorded

SCENARIO = RECORDED / "scenario.sql"
STORY = RECORDED / "story.json"

_SLOT_HERE = "-- make the slot here\n"
_READ = """
    select data from pg_logical_slot_get_binary_changes(
        's', null, null, 'proto_version', '1', 'publication_names', 'p,p_inserts', 'messages', 'true')
"""


async def record(version: Version) -> None:
    """Run the scenario on a new server and keep its messages."""
    with tempfile.TemporaryDirectory(prefix="cdc-tests-") as folder:
        os.chmod(folder, 0o711)  # when root runs this, the server is somebody else
        async with Postgres(Path(folder) / version, binaries=binaries(version), settings={"fsync": "off"}) as postgres:
            messages = await _messages(postgres.url)
    (RECORDED / f"{version}.hex").write_text("".join(f"{message.hex()}\n" for message in messages))


def story(items: Iterable[Item]) -> list[list[Any]]:
    """What a stream amounts to, as JSON: a list for each change and each logical message."""
    told: list[list[Any]] = []
    for item in items:
        match item:
            case Change(relation=relation, verb=verb, new=new, old=old, unchanged=unchanged):
                told.append([f"{relation.schema}.{relation.name}", verb, new, old, unchanged])
            case Message(header=header, prefix=prefix, content=content):
                told.append([prefix, content.decode(), header is not None])
    # Through JSON, as a handler gets it: some values are only then what they are.
    return cast("list[list[Any]]", orjson.loads(orjson.dumps(told)))


async def _messages(url: str) -> list[bytes]:
    before, after = SCENARIO.read_text(encoding="utf-8").split(_SLOT_HERE)
    async with await AsyncConnection.connect(url, autocommit=True) as writer:
        await _run(writer, before)
        await create_slot(url, "s")
        await _run(writer, after)
    async with await connect(url) as reader:
        return [data for (data,) in await (await reader.execute(_READ)).fetchall()]


async def _run(connection: AsyncConnection[Any], script: str) -> None:
    for statement in script.split(";\n"):
        await connection.execute(statement.encode())


def _write_story() -> None:
    lines = [orjson.dumps(line).decode() for line in story(Transactions(Position(0, -1)).feed(recorded("18")))]
    STORY.write_text("[\n" + ",\n".join(lines) + "\n]\n", encoding="utf-8")


if __name__ == "__main__":
    wanted = sys.argv[1:] or [version for version in EVERY_VERSION if version not in missing()]
    for chosen in EVERY_VERSION:
        if chosen in wanted:
            asyncio.run(record(chosen))
    _write_story()
