"""A primary with a streaming standby, each a server of its own, where logical slots are kept in step (17 and later)."""

from __future__ import annotations

import asyncio
import os
import pwd
import shutil
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from psycopg import AsyncConnection

from cdc.embedded import Postgres, bindir
from tests.places import server_folder
from tests.waiting import eventually

_SYNCED = "select from pg_replication_slots where slot_name = %s and synced and not temporary"
_STREAMS = "select from pg_stat_replication where application_name = 'standby' and state = 'streaming'"
_BEHIND = """
    select pg_wal_lsn_diff(pg_current_wal_lsn(), replay_lsn)::bigint
      from pg_stat_replication where application_name = 'standby'
"""
_PHYSICAL = "standby"


@dataclass
class Pair:
    """Both servers. Logical walsenders of the primary send nothing that the standby does not have."""

    primary: Postgres
    standby: Postgres

    async def has_synced(self, slot: str) -> None:
        """Wait until the standby has a lasting copy of the slot, which it takes once the primary's has moved on."""
        async with (
            await AsyncConnection.connect(self.standby.url, autocommit=True) as connection,
            await AsyncConnection.connect(self.primary.url, autocommit=True) as primary,
        ):
            checked_at = 0.0

            async def is_there() -> bool:
                nonlocal checked_at
                if time.monotonic() > checked_at + 1.0:
                    await primary.execute("checkpoint")
                    checked_at = time.monotonic()
                return (await connection.execute(_SYNCED, [slot])).rowcount > 0

            await eventually(is_there, within=120, what=f"the standby has the slot {slot}")

    async def has_everything(self) -> None:
        """Wait until the standby has all that the primary has written."""
        async with await AsyncConnection.connect(self.primary.url, autocommit=True) as connection:

            async def has() -> bool:
                row = await (await connection.execute(_BEHIND)).fetchone()
                return row == (0,)

            await eventually(has, within=120, what="the standby has everything")

    async def promote(self) -> None:
        """Have the standby be a primary; returns when it is."""
        async with await AsyncConnection.connect(self.standby.url, autocommit=True) as connection:
            await connection.execute("select pg_promote()")


@asynccontextmanager
async def streaming() -> AsyncIterator[Pair]:
    """A pair of which the standby streams."""
    with server_folder() as folder:
        primary = Postgres(folder / "primary", settings={"fsync": "off"})
        pair = None
        try:
            await primary.start()
            pair = await _pair(primary, folder / "standby")
            yield pair
        finally:
            if pair is not None:
                await pair.standby.stop(immediate=True)
            await primary.stop(immediate=True)


async def _pair(primary: Postgres, directory: Path) -> Pair:
    async with await AsyncConnection.connect(primary.url, autocommit=True) as connection:
        await connection.execute("select pg_create_physical_replication_slot(%s, true)", [_PHYSICAL])
        await _copy(primary, directory)
        standby = Postgres(
            directory,
            settings={
                "fsync": "off",
                "hot_standby_feedback": "on",
                "primary_conninfo": f"{primary.url}?application_name=standby",
                "primary_slot_name": _PHYSICAL,
                "sync_replication_slots": "on",
                "wal_receiver_status_interval": "1s",
            },
        )
        await standby.start()

        async def streams() -> bool:
            return (await connection.execute(_STREAMS)).rowcount > 0

        await eventually(streams, within=120, what="the standby streams")
        await connection.execute(f"alter system set synchronized_standby_slots = '{_PHYSICAL}'".encode())
        await connection.execute("select pg_reload_conf()")
    return Pair(primary, standby)


async def _copy(primary: Postgres, directory: Path) -> None:
    """What the standby begins with; it has the primary's users and passwords."""
    directory.mkdir(mode=0o711)  # noqa: ASYNC240
    directory.chmod(0o711)  # noqa: ASYNC240
    data = directory / "data"
    program = await asyncio.create_subprocess_exec(
        *(bindir() / "pg_basebackup", "--pgdata", data, "--dbname", primary.url, "--checkpoint=fast", "--no-sync")
    )
    assert await program.wait() == 0
    (data / "standby.signal").touch()
    shutil.copy(data.parents[1] / "primary" / "password", directory / "password")
    if os.geteuid() == 0:
        nobody = pwd.getpwnam("nobody")
        for path in (directory / "password", data, *data.rglob("*")):
            os.chown(path, nobody.pw_uid, nobody.pw_gid)
