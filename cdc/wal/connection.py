"""Replication connections: a pinned session in which values have one text form only."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import psycopg
from psycopg import AsyncConnection
from psycopg.conninfo import conninfo_to_dict

from cdc.errors import ConfigurationError, ProtocolError
from cdc.wal.refusals import connection_refused

Connection = AsyncConnection[tuple[Any, ...]]

# The text forms follow the session of the walsender, whose defaults a role or a database may change.
_PINS = "-c DateStyle=ISO -c IntervalStyle=iso_8601 -c TimeZone=UTC -c extra_float_digits=1 -c bytea_output=hex"

_NOTICED_WITHIN = "20s"
"""For the server to free the slot of a machine that vanished; a process that was killed is noticed at once. The
server's own default, a minute, is long for a service that stands by."""

# A peer that vanished without a word is noticed within a minute; Linux alone would take hours.
_KEEPALIVES = {"keepalives_idle": 30, "keepalives_interval": 10, "keepalives_count": 3, "tcp_user_timeout": 60_000}

_WITHIN = 10
"""Seconds for one attempt to connect, unless the URL has its own connect_timeout."""

ANSWERS_WITHIN = 60.0
"""Seconds for the answer to a command that has nothing to wait for."""


async def connect(conninfo: str) -> Connection:
    """Open a connection on which replication commands work, and simple queries beside them.

    Options in `conninfo` are kept, except for what would change the text form of values.

    Raises:
        ConfigurationError: `conninfo` cannot be read. Its text is not repeated, it may hold a password.
        DatabaseUnreachable: there was no answer, or the server is starting or full.
        DatabaseRefused: the server said no to this role, host or password.
        ServerNotReady: the server takes no (more) replication connections.
    """
    try:
        given = conninfo_to_dict(conninfo)
    except psycopg.ProgrammingError:
        raise ConfigurationError(
            "The database URL cannot be read.",
            hint="Write it as postgresql://user:password@host:5432/database, special characters percent-encoded.",
        ) from None
    options = str(given.get("options") or os.environ.get("PGOPTIONS", ""))
    timeout = "" if "wal_sender_timeout" in options else f"-c wal_sender_timeout={_NOTICED_WITHIN}"
    settings: dict[str, Any] = {
        **{name: value for name, value in _KEEPALIVES.items() if name not in given},
        "application_name": given.get("application_name") or "cdc",
        "client_encoding": "UTF8",
        "connect_timeout": given.get("connect_timeout", _WITHIN),
        "options": " ".join(filter(None, (timeout, options, _PINS))),
        "replication": "database",
    }
    try:
        return await AsyncConnection.connect(conninfo, autocommit=True, **settings)
    except psycopg.OperationalError as error:
        raise connection_refused(error) from error


@contextmanager
def answering(connection: Connection) -> Iterator[None]:
    """Ends the connection, and with it what waits in the block, when the server does not answer within a minute."""
    overdue = asyncio.get_running_loop().call_later(ANSWERS_WITHIN, _hang_up, connection)
    try:
        yield
    finally:
        overdue.cancel()


def _hang_up(connection: Connection) -> None:
    with suppress(OSError, psycopg.Error), socket.socket(fileno=os.dup(connection.fileno())) as line:
        line.shutdown(socket.SHUT_RDWR)


async def ask(connection: Connection, command: bytes) -> tuple[Any, ...]:
    """The one row that a replication command answers; psycopg.Error if it is refused."""
    row = await (await connection.execute(command)).fetchone()
    if row is None:
        raise ProtocolError(f"no answer to {command.decode()}")
    return row


def identifier(name: str) -> str:
    """A name as an identifier of the replication grammar."""
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    r"""A text as a string of the replication grammar, which knows no escape but the doubled quote."""
    return "'" + text.replace("'", "''") + "'"
