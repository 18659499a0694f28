"""Refused texts as the command line handles them."""

from __future__ import annotations

from cdc.store import refused
from cdc.store.connect import checked, connect
from cdc.store.migrate import migrate
from cdc.store.names import table_of
from cdc.store.refused import Refused


async def listed(url: str, table: str | None, into: str | None, limit: int) -> list[Refused]:
    """Those of a table, or all of a database, newest first."""
    await migrate(checked(url), "source")
    async with await connect(url, autocommit=True) as conn:
        return await refused.listed(conn, table_of(table) if table else None, into, limit)


async def retry(url: str, table: str, into: str | None, key: str | None) -> int:
    """Have them tried again; returns how many rows are looked at.

    Raises:
        ConfigurationError: there is no such table.
    """
    await migrate(checked(url), "source")
    async with await connect(url, autocommit=True) as conn:
        return await refused.retry(conn, table, into, key)
