"""Sends events as `cdc.send()` does in SQL: through the watched database's WAL."""

from __future__ import annotations

from datetime import datetime

from cdc.store import events
from cdc.store.connect import checked, connect
from cdc.store.migrate import migrate


async def send(
    url: str, name: str, data: str, *, id: str | None, ts: datetime | None, user: str | None, v: str | None
) -> None:
    """Send one event; `data` and `user` are JSON objects.

    Raises:
        ConfigurationError: the name, the data or one of the others cannot be used.
    """
    await migrate(checked(url), "source")
    async with await connect(url, autocommit=True) as conn:
        await events.send(conn, name, data, id=id, ts=ts, user=user, v=v)
