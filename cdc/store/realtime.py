"""What is published, between services on one state database; nothing of it is kept."""

from __future__ import annotations

from collections.abc import Sequence

from cdc.store.connect import Connection
from cdc.store.queries import text


async def listen(conn: Connection) -> None:
    """Have what is published sent to this connection."""
    await conn.execute(text("realtime/listen"))


async def notify(conn: Connection, parts: Sequence[str]) -> None:
    """Tell all who listen, this service included; they get the parts together and in order. One has less than 8000
    bytes.
    """
    await conn.execute(text("realtime/notify"), {"parts": list(parts)})
