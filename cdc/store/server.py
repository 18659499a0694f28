"""What a server says of itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from cdc import lsn
from cdc.lsn import Lsn
from cdc.store.connect import Connection
from cdc.store.queries import text


class Facts(NamedTuple):
    """What logical replication asks of a server and a role. `version` is like 180006."""

    version: int
    wal_level: str
    encoding: str
    in_recovery: bool
    role: str
    may_replicate: bool
    may_create: bool


@dataclass(frozen=True, slots=True)
class Slot:
    """A logical replication slot. `wal_status` is reserved, extended, unreserved or lost; `reason` of a lost one, where
    the server tells it.
    """

    plugin: str
    database: str
    active_pid: int | None
    confirmed_lsn: Lsn
    restart_lsn: Lsn | None
    wal_status: str
    reason: str | None = None
    failover: bool = False

    @property
    def is_lost(self) -> bool:
        """Whether the server invalidated it: nothing can be read from it any more."""
        return self.wal_status == "lost"


async def facts(conn: Connection) -> Facts:
    """The facts that decide whether this server can be watched with this role."""
    row = await (await conn.execute(text("server/facts"))).fetchone()
    assert row is not None
    return Facts(*row)


async def slot(conn: Connection, name: str) -> Slot | None:
    """The slot of this name; None when there is none."""
    row = await (await conn.execute(text("server/slot"), {"slot": name})).fetchone()
    if row is None:
        return None
    plugin, database, active_pid, confirmed, restart, wal_status, reason, failover = row
    return Slot(
        plugin,
        database,
        active_pid,
        lsn.parse(confirmed) if confirmed else 0,
        lsn.parse(restart) if restart else None,
        wal_status,
        reason,
        failover,
    )


async def slot_is_read(conn: Connection, name: str) -> bool:
    """Whether somebody reads from the slot of this name."""
    row = await (await conn.execute(text("server/slot_is_read"), {"slot": name})).fetchone()
    assert row is not None
    return bool(row[0])


async def identity(conn: Connection) -> tuple[str, int, str]:
    """System identifier, timeline and database, asked without the right to replicate."""
    row = await (await conn.execute(text("server/identity"))).fetchone()
    assert row is not None
    return row[0], row[1], row[2]


async def branch(conn: Connection) -> str | None:
    """Which branch of a Neon project this is; None elsewhere."""
    row = await (await conn.execute(text("server/branch"))).fetchone()
    assert row is not None, "a setting that is not there is null"
    return None if row[0] is None else str(row[0])


async def idle_limit(conn: Connection) -> float | None:
    """Seconds after which the server gives up a slot that nobody reads; None: it never does."""
    row = await (await conn.execute(text("server/idle_limit"))).fetchone()
    return None if row is None else float(row[0])


def is_standby(conn: Connection) -> bool:
    """Whether the server of this connection is a standby, as it last told."""
    return conn.info.parameter_status("in_hot_standby") == "on"


def version(conn: Connection) -> int:
    """Of the server, like 180006."""
    return conn.info.server_version


async def wal_position(conn: Connection) -> Lsn:
    """The end of the WAL that is safe on disk."""
    row = await (await conn.execute(text("server/wal_position"))).fetchone()
    assert row is not None
    return lsn.parse(row[0])


async def clock(conn: Connection) -> float:
    """The database's clock, in seconds since 1970."""
    row = await (await conn.execute(text("server/clock"))).fetchone()
    assert row is not None, "a clock has one time"
    return float(row[0])
