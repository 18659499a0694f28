"""The state database, as the commands that look at runs or act on them need it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from cdc.config import Settings
from cdc.errors import ConfigurationError
from cdc.service.tallying import write_now
from cdc.store import notifications
from cdc.store.connect import STATE, WATCHED, Connection, checked, connect
from cdc.store.json import register
from cdc.store.migrate import migrate

_ACTED = "acted"
"""What the notification says; services look for themselves what is due or cancelled."""


@asynccontextmanager
async def looking(settings: Settings) -> AsyncIterator[Connection]:
    """A connection to the state database.

    Raises:
        ConfigurationError: no database is set.
        DatabaseUnreachable, DatabaseRefused, MigrationError: it cannot be used.
    """
    url, setting = settings.state_url, STATE if settings.state_database_url else WATCHED
    if url is None:
        raise ConfigurationError(
            "DATABASE_URL is not set.", hint="export DATABASE_URL=postgresql://user:password@host:5432/database"
        )
    await migrate(checked(url, setting), "state", setting=setting)
    register()
    async with await connect(url, autocommit=True, prepared=False, setting=setting) as conn:
        yield conn


@asynccontextmanager
async def acting(settings: Settings) -> AsyncIterator[Connection]:
    """The same, for what running services have to be told of at the end, however it ends."""
    async with looking(settings) as conn:
        try:
            yield conn
        finally:
            if not conn.closed:
                await tell(conn)
                await write_now(conn)


async def tell(conn: Connection) -> None:
    """Have running services look now: something is due, or was cancelled."""
    await notifications.notify(conn, _ACTED)
