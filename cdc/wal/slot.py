"""Replication commands about slots and servers, each on a connection of its own.

Postgres docs, Frontend/Backend Protocol: Streaming Replication Protocol.
"""

from __future__ import annotations

from typing import NamedTuple

import psycopg

from cdc.lsn import Lsn, parse
from cdc.wal.connection import Connection, answering, ask, connect, identifier
from cdc.wal.refusals import command_refused


class Identity(NamedTuple):
    """Which server this is and how far its WAL reaches; `database` is the one connected to."""

    system_identifier: str
    timeline: int
    wal_lsn: Lsn
    database: str | None


async def identify(conninfo: str) -> Identity:
    """Ask the server who it is.

    Raises:
        ConfigurationError, DatabaseUnreachable, DatabaseRefused, ServerNotReady: as `connection.connect`.
    """
    async with await connect(conninfo) as connection:
        try:
            return await identity_of(connection)
        except psycopg.Error as error:
            raise command_refused(error, slot="", user=connection.info.user) from error


async def create_slot(conninfo: str, name: str, *, failover: bool = False) -> Lsn:
    """Make a permanent pgoutput slot; every transaction that commits after the returned LSN will be decoded.

    With `failover` (17 and later) standbys that synchronize slots keep a copy of it.

    The publications must be there before. Waits until all transactions that are now writing have ended.

    Raises:
        CheckpointMismatch: there is a slot of this name already.
        ServerNotReady: wal_level is not logical, or all slots are used.
        DatabaseRefused: the role may not do it.
        ConfigurationError, DatabaseUnreachable, StreamLost: the connection failed.
    """
    # The first spelling is understood from 14 to 18; the one with parentheses came in 15.
    options = "(SNAPSHOT 'nothing', FAILOVER true)" if failover else "NOEXPORT_SNAPSHOT"
    command = f"CREATE_REPLICATION_SLOT {identifier(name)} LOGICAL pgoutput {options}"
    async with await connect(conninfo) as connection:
        try:
            _, consistent_point, *_ = await ask(connection, command.encode())
        except psycopg.Error as error:
            raise command_refused(error, slot=name, user=connection.info.user) from error
        return parse(consistent_point)


async def drop_slot(conninfo: str, name: str) -> None:
    """Drop a slot and let the server remove the WAL it held; a slot that is not there is fine.

    Raises:
        SlotInUse: somebody reads from it. It is not waited for.
        DatabaseRefused: the role may not do it.
        ConfigurationError, DatabaseUnreachable, ServerNotReady, StreamLost: the connection failed.
    """
    async with await connect(conninfo) as connection:
        try:
            await connection.execute(f"DROP_REPLICATION_SLOT {identifier(name)}".encode())
        except psycopg.errors.UndefinedObject:
            return
        except psycopg.Error as error:
            raise command_refused(error, slot=name, user=connection.info.user) from error


async def mark_for_failover(conninfo: str, name: str) -> None:
    """Have standbys keep a copy of a slot that stands already (17 and later).

    Raises:
        SlotInUse: somebody reads from it.
        SlotLost: it is gone, or invalidated.
        ConfigurationError, DatabaseRefused, DatabaseUnreachable, ServerNotReady, StreamLost: it cannot be asked for.
    """
    async with await connect(conninfo) as connection:
        try:
            await connection.execute(f"ALTER_REPLICATION_SLOT {identifier(name)} (FAILOVER true)".encode())
        except psycopg.Error as error:
            raise command_refused(error, slot=name, user=connection.info.user) from error


async def identity_of(connection: Connection) -> Identity:
    """Who the server of this replication connection is."""
    with answering(connection):
        system_identifier, timeline, wal_lsn, database = await ask(connection, b"IDENTIFY_SYSTEM")
    return Identity(str(system_identifier), int(timeline), parse(wal_lsn), database)
