"""Sends events as `cdc.send()` does in SQL: through the watched database's WAL."""

from __future__ import annotations

from cdc.store import events
from cdc.store.connect import checked, connect
from cdc.store.migrate import migrate


async def send(url: str, name: str, data: str) -> None:
    """Send one event; `data` is a JSON object.

    Raises:
        ConfigurationError: the name or the data cannot be used.
    """
    await migrate(checked(url), "source")
    async with await connect(url, autocommit=True) as conn:
        await events.send(conn, name, data)
