"""What `cdc doctor` asks a server. Nothing here changes anything, and all of it works on every version."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from typing import Any, NamedTuple

from cdc.store.connect import Connection
from cdc.store.queries import text

Table = tuple[str, str]

_UNITS = {"": 1.0, "ms": 0.001, "s": 1.0, "min": 60.0, "B": 1.0, "kB": 1024.0, "MB": 1024.0**2}


class Places(NamedTuple):
    """Replication slots and walsenders: how many there may be, how many are taken."""

    slots: int
    slots_taken: int
    senders: int
    senders_taken: int


class SlotState(NamedTuple):
    """A slot: every column that this version has, and bytes kept and behind, None when the server cannot say."""

    columns: dict[str, Any]
    retained: int | None
    lag: int | None
    inactive_for: float | None


class Publication(NamedTuple):
    """A publication: FOR ALL TABLES or not, and whether it tells every kind of change."""

    all_tables: bool
    tells_all: bool


class TableState(NamedTuple):
    """A table that is there. `written` is its name as SQL wants it."""

    schema: str
    name: str
    published: bool
    has_identity: bool
    ours: bool
    written: str


class Tls(NamedTuple):
    """How the connection is secured; `near`: it does not leave this machine."""

    on: bool
    mode: str
    near: bool


def tls(conn: Connection) -> Tls:
    """How this connection is secured."""
    options = {option.keyword: option.val for option in conn.pgconn.info}
    mode = (options.get(b"sslmode") or b"prefer").decode()
    return Tls(bool(conn.pgconn.ssl_in_use), mode, _is_near(conn.info.host))


async def through_proxy(conn: Connection) -> bool:
    """Whether something stands between: the process that we were told of is not the one that answers."""
    (pid,) = await _one(conn, "doctor/backend")
    return bool(pid != conn.info.backend_pid)


async def settings(conn: Connection, *names: str) -> dict[str, float]:
    """Settings in seconds or bytes; -1 stays -1. Those that this version does not have are missing."""
    rows = await (await conn.execute(text("doctor/settings"), {"names": list(names)})).fetchall()
    return {name: value if value < 0 else value * _UNITS[unit] for name, value, unit in rows}


async def places(conn: Connection) -> Places:
    """How many slots and walsenders there are, and may be."""
    return Places(*await _one(conn, "doctor/places"))


async def slot(conn: Connection, name: str) -> SlotState | None:
    """The slot of this name; None: there is none."""
    row = await (await conn.execute(text("doctor/slot"), {"slot": name})).fetchone()
    return None if row is None else SlotState(*row)


async def publication(conn: Connection, name: str) -> Publication | None:
    """The publication of this name; None: there is none."""
    row = await (await conn.execute(text("doctor/publication"), {"publication": name})).fetchone()
    return None if row is None else Publication(*row)


async def tables(conn: Connection, publication: str, wanted: Iterable[Table]) -> list[TableState]:
    """Those of these tables that exist, by name."""
    listed = sorted(wanted)
    parameters = {
        "publication": publication,
        "schemas": [schema for schema, _ in listed],
        "tables": [name for _, name in listed],
    }
    rows = await (await conn.execute(text("doctor/tables"), parameters)).fetchall()
    return [TableState(*row) for row in rows]


async def pgvector(conn: Connection) -> tuple[str | None, str | None]:
    """The version that is installed, and the one that could be."""
    installed, available = await _one(conn, "doctor/pgvector")
    return installed, available


async def _one(conn: Connection, query: str) -> tuple[Any, ...]:
    row = await (await conn.execute(text(query))).fetchone()
    assert row is not None, "the statement gives one row"
    return row


def _is_near(host: str) -> bool:
    if not host or host.startswith("/") or host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
