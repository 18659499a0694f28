"""What must be true of a server before anything is made on it."""

from __future__ import annotations

import structlog

from cdc.errors import CdcError, DatabaseRefused, ServerNotReady
from cdc.store import hosts, server
from cdc.store.connect import WATCHED, Connection, checked, connect_patiently, place
from cdc.wal.connection import identifier

log = structlog.get_logger(__name__)

OLDEST = 140000
"""Postgres 14, as server_version_num."""


async def connected(url: str, *, patience: float, listens: bool = True, setting: str = WATCHED) -> Connection:
    """A connection to the watched database, waiting up to `patience` seconds for it to be up.

    Raises:
        ConfigurationError: the URL cannot be read, or names a pooler.
        DatabaseUnreachable, DatabaseRefused: no connection could be made.
        ServerNotReady: the server cannot be watched as it is set up; only a service that `listens` minds that.
    """
    conn = await connect_patiently(checked(url, setting), patience=patience, tell=_tell, setting=setting)
    try:
        facts = await server.facts(conn)
        check_server(facts, place(url))
        if listens:
            await _check_source(conn, facts, url)
    except BaseException:
        await conn.close()
        raise
    return conn


async def reachable(url: str, *, patience: float, setting: str) -> None:
    """Wait up to `patience` seconds for the server of the state, and check that it can hold it.

    Raises:
        ConfigurationError, DatabaseUnreachable, DatabaseRefused, ServerNotReady: it cannot.
    """
    async with await connect_patiently(checked(url, setting), patience=patience, tell=_tell, setting=setting) as conn:
        check_server(await server.facts(conn), place(url))


def _tell(error: CdcError, pause: float) -> None:
    log.warning("waiting for the database", reason=error.message, seconds=pause)


def check_server(facts: server.Facts, where: str) -> None:
    """Whether a server can hold our schemas.

    Raises:
        ServerNotReady: it is too old, a standby, or not UTF-8.
    """
    if facts.version < OLDEST:
        raise ServerNotReady(
            f"{where} runs Postgres {facts.version // 10000}; 14 is the oldest that works.", hint="Upgrade the server."
        )
    if facts.in_recovery:
        raise ServerNotReady(f"{where} is a standby.", hint="Connect to the primary.")
    if facts.encoding != "UTF8":
        raise ServerNotReady(
            f"{where} has encoding {facts.encoding}; events are JSON, which is UTF-8.",
            hint="Use a database with ENCODING 'UTF8'.",
        )


async def _check_source(conn: Connection, facts: server.Facts, url: str) -> None:
    where = place(url)
    if facts.wal_level != "logical":
        raise ServerNotReady(
            f"{where} has wal_level = {facts.wal_level}.", hint=(await hosts.recognise(conn, url)).wal_level
        )
    if not facts.may_replicate:
        host = await hosts.recognise(conn, url)
        raise DatabaseRefused(
            f"The role {facts.role!r} may not replicate.",
            hint=f"As an administrator: {host.allow_replication(identifier(facts.role))};",
        )
    if not facts.may_create:
        raise DatabaseRefused(
            f"The role {facts.role!r} may not create schemas in this database.",
            hint=f"As its owner: GRANT CREATE ON DATABASE ... TO {identifier(facts.role)};",
        )
