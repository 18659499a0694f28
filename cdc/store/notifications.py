"""LISTEN and NOTIFY between services on one state database."""

from __future__ import annotations

from cdc.store.connect import Connection
from cdc.store.queries import text


async def listen(conn: Connection) -> None:
    """Have notifications sent to this connection."""
    await conn.execute(text("notifications/listen"))


async def unlisten(conn: Connection) -> None:
    """Have none sent any more."""
    await conn.execute(text("notifications/unlisten"))


async def notify(conn: Connection, message: str) -> None:
    """Notify all that listen, this service included."""
    await conn.execute(text("notifications/notify"), {"message": message})


async def received(conn: Connection, *, within: float) -> list[str]:
    """The messages of the next notifications; none when `within` seconds go by without one."""
    return [notification.payload async for notification in conn.notifies(timeout=within, stop_after=1)]
