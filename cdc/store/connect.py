"""Opens connections, and says in plain words why one cannot be opened."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from typing import Any

import psycopg
import psycopg.conninfo
from psycopg import AsyncConnection
from psycopg_pool import AsyncConnectionPool

from cdc.errors import CdcError, ConfigurationError, DatabaseRefused, DatabaseUnreachable
from cdc.store.bounded import TCP, Bounded

Connection = AsyncConnection[tuple[Any, ...]]

# SQLSTATEs by which a server says that it will be there in a moment (Postgres docs, appendix A).
_STARTING = {"57P03", "53300"}

_PREFIX = re.compile(r"^(connection (failed|is bad): )+")
_ADVICE = re.compile(r"\bIs the server running|Multiple connection attempts failed")
"""Where libpq's sentence ends, and its own advice or the same again for another address of the host begins."""

_UNUSABLE = re.compile(r"invalid (\S+ value|port number)|bad value for")
"""What libpq and psycopg say of an option that cannot be used; they see it only when they connect."""

# The role's own settings must not change what we read: client_encoding may be set with ALTER ROLE.
_PINNED = {"application_name": "cdc", "client_encoding": "UTF8"}

_WITHIN = 10
"""Seconds for one attempt to connect, unless the URL has its own connect_timeout: firewalls may swallow packets."""


_IDLE = 2.0
"""Seconds that a connection to a database that should sleep is kept for the next who needs one."""

WATCHED = "DATABASE_URL"
STATE = "CDC_STATE_DATABASE_URL"
"""The settings that URLs come from, for messages about them."""


def checked(url: str, setting: str = WATCHED) -> str:
    """The URL, if libpq can read it.

    Raises:
        ConfigurationError: it cannot, or it names a host where replication is impossible (of a watched database
            only). The URL itself is not repeated: it carries a password.
    """
    try:
        parts = psycopg.conninfo.conninfo_to_dict(url)
    except psycopg.ProgrammingError:
        raise ConfigurationError(
            f"{setting} cannot be read as a Postgres URL.",
            hint="Write it like postgresql://user:password@host:5432/database (special characters %-encoded).",
        ) from None
    host, ports = str(parts.get("host") or ""), str(parts.get("port") or "")
    # A password that is not encoded runs over into host, port or database, which our messages do repeat.
    if "@" in host or "@" in str(parts.get("dbname") or "") or not re.fullmatch(r"[\d,]*", ports):
        raise ConfigurationError(
            f"{setting} cannot be read; most likely a special character in user or password is not %-encoded.",
            hint="Write @ as %40, : as %3A, / as %2F, ? as %3F and % as %25.",
        )
    if "-pooler." in host and setting != STATE:
        raise ConfigurationError(
            f"The host {host} is a connection pooler; logical replication cannot pass through it.",
            hint=f"Use the direct host: {host.replace('-pooler.', '.', 1)}",
        )
    return url


def place(url: str) -> str:
    """Host, port and database of a URL, for messages; never the user or the password."""
    parts = psycopg.conninfo.conninfo_to_dict(url)
    host = parts.get("host") or parts.get("hostaddr") or "the local socket"
    return f"{host}:{parts.get('port') or 5432}/{parts.get('dbname') or parts.get('user') or ''}"


async def connect(
    url: str,
    *,
    autocommit: bool = False,
    prepared: bool = True,
    setting: str = WATCHED,
    answers_within: float | None = None,
    silent_for: float | None = None,
    made_of: type[Bounded] = Bounded,
) -> Connection:
    """One connection; a statement that is not answered within so many seconds ends it.

    The server ends it when we are silent in a transaction for as long, or for `silent_for` seconds if that is given:
    a process that stands still must not hold its locks. Statements used often are `prepared` on the server; a
    transaction pooler can bear neither.

    Raises:
        DatabaseUnreachable: nobody answered, or the server is still starting.
        DatabaseRefused: the server answered and said no.
        ConfigurationError: an option in the URL cannot be used.
    """
    try:
        conn = await made_of.connect(url, autocommit=autocommit, **_session(url, prepared=prepared))
    except (psycopg.OperationalError, psycopg.ProgrammingError) as error:
        raise explained(error, url, setting) from None
    try:
        if answers_within is not None:
            silence = answers_within if silent_for is None else silent_for
            await conn.bound(answers_within, silence if prepared else None)
    except BaseException as error:
        await conn.close()
        if isinstance(error, psycopg.OperationalError):
            raise explained(error, url, setting) from None
        raise
    return conn


def in_pipeline(conn: Connection) -> bool:
    """Whether statements are sent without waiting for the answers of those before."""
    return conn.pgconn.pipeline_status != psycopg.pq.PipelineStatus.OFF


async def connect_patiently(
    url: str, *, patience: float, tell: Callable[[CdcError, float], None], setting: str = WATCHED
) -> Connection:
    """One autocommit connection, waiting with growing pauses for a server that is not there yet.

    `tell` is called before each pause with the reason and the pause in seconds; `patience` bounds the whole wait.

    Raises:
        DatabaseUnreachable: `patience` seconds went by.
        DatabaseRefused, ConfigurationError: at once; waiting would not help.
    """
    deadline = asyncio.get_running_loop().time() + patience
    pause = 0.25
    while True:
        try:
            return await connect(url, autocommit=True, prepared=False, setting=setting)
        except DatabaseUnreachable as error:
            if asyncio.get_running_loop().time() + pause > deadline:
                raise
            tell(error, pause)
            await asyncio.sleep(pause)
            pause = min(pause * 2, 10.0)


def explained(error: psycopg.Error, url: str, setting: str = WATCHED) -> CdcError:
    """What a failed connection means, in our words; the server's own text is kept, credentials are not."""
    said = _ADVICE.split(_PREFIX.sub("", " ".join(str(error).split())))[0].rstrip(". ")
    where = place(url)
    if _UNUSABLE.search(said):
        return ConfigurationError(f"{setting} cannot be used: {said}.", hint="Correct that part of it.")
    if "password authentication failed" in said or error.sqlstate == "28P01" or "no password supplied" in said:
        return DatabaseRefused(f"{where} refused the password.", hint=f"Check user and password in {setting}.")
    if 'database "' in said and "does not exist" in said:
        return DatabaseRefused(f"{where} has no such database.", hint=f"Check the name at the end of {setting}.")
    if 'role "' in said and "does not exist" in said:
        return DatabaseRefused(f"{where} has no such user.", hint=f"Check the user in {setting}.")
    if "is not permitted to log in" in said or "permission denied for database" in said:
        return DatabaseRefused(f"{where}: {said}.", hint=f"Grant that to the user in {setting}, or use another one.")
    if "no pg_hba.conf entry" in said:
        return DatabaseRefused(
            f"{where} does not let this host, user or mode of connection in (pg_hba.conf).",
            hint="Allow it there; many hosted databases need ?sslmode=require.",
        )
    if "server does not support SSL" in said or "certificate" in said:
        return DatabaseRefused(f"{where}: {said}.", hint=f"Check sslmode in {setting}.")
    if "starting up" in said or "shutting down" in said or error.sqlstate in _STARTING:
        return DatabaseUnreachable(f"{where} is not taking connections right now.", hint="It is tried again.")
    return DatabaseUnreachable(
        f"No connection to {where}: {said}.", hint=f"Check host and port in {setting}, and that the server is up."
    )


def pool(
    url: str,
    *,
    size: int,
    name: str,
    prepared: bool = True,
    answers_within: float | None = None,
    sleeps: bool = False,
) -> AsyncConnectionPool[Connection]:
    """A closed pool of up to `size` connections, each as of `connect`; open it with `async with`.

    One is always open, unless the database `sleeps`: then those that nobody uses are closed within seconds.
    """

    async def bound(conn: Connection) -> None:
        if answers_within is not None and isinstance(conn, Bounded):
            await conn.bound(answers_within, answers_within if prepared else None)
            await conn.commit()

    return AsyncConnectionPool(
        url,
        connection_class=Bounded,
        configure=bound,
        min_size=0 if sleeps else 1,
        max_size=size,
        max_idle=_IDLE if sleeps else 600.0,
        open=False,
        name=name,
        kwargs=_session(url, prepared=prepared),
    )


def _session(url: str, *, prepared: bool) -> dict[str, Any]:
    given = psycopg.conninfo.conninfo_to_dict(url)
    defaults = {**TCP, "connect_timeout": _WITHIN}
    session = {**{name: value for name, value in defaults.items() if name not in given}, **_PINNED}
    return session if prepared else {**session, "prepare_threshold": None}
