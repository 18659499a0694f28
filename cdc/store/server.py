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
    """A logical replication slot. `wal_status` is reserved, extended, unreserved or lost."""

    plugin: str
    database: str
    active_pid: int | None
    confirmed_lsn: Lsn
    restart_lsn: Lsn | None
    wal_status: str


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
    plugin, database, active_pid, confirmed, restart, wal_status = row
    return Slot(
        plugin,
        database,
        active_pid,
        lsn.parse(confirmed) if confirmed else 0,
        lsn.parse(restart) if restart else None,
        wal_status,
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
