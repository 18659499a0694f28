"""What `cdc demo` does to its database."""

from __future__ import annotations

from collections.abc import Sequence

from cdc.store.connect import Connection
from cdc.store.queries import text


async def create(conn: Connection) -> None:
    """Make the table."""
    await conn.execute(text("demo/create_table"))


async def insert(conn: Connection, passages: Sequence[tuple[str, str]]) -> None:
    """Insert (title, content) rows."""
    titles, contents = zip(*passages, strict=True)
    await conn.execute(text("demo/insert"), {"titles": list(titles), "contents": list(contents)})


async def embedded(conn: Connection) -> int:
    """How many rows have their vector."""
    row = await (await conn.execute(text("demo/embedded"))).fetchone()
    assert row is not None
    return int(row[0])
