"""Texts that were put aside because a provider refuses them: the rows of cdc.embedding_errors."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

from cdc.store.embeddings import Connection, called
from cdc.store.queries import text

Table = tuple[str, str]


class Refused(NamedTuple):
    """A text put aside: `source` and `target` for people, the `key` of its row, the `ordinal` of its chunk
    if it is one, and why.
    """

    source: str
    target: str
    key: list[str]
    ordinal: int | None
    reason: str
    failed_at: datetime


async def listed(conn: Connection, table: Table | None, target: str | None, limit: int) -> list[Refused]:
    """Those of one (schema, table), or all, newest first."""
    schema, name = table or (None, None)
    parameters = {"schema": schema, "name": name, "target": target, "limit": limit}
    rows = await conn.execute(text("embedding/refused"), parameters)
    return [Refused(*row) for row in await rows.fetchall()]


async def counts(conn: Connection) -> dict[int, int]:
    """How many rows have a text that was put aside, by declaration."""
    return dict(await (await conn.execute(text("embedding/put_aside_counts"))).fetchall())


async def retry(conn: Connection, source: str, target: str | None, key: str | None) -> int:
    """Call `cdc.retry_embeddings()`; `source` is written as SQL writes a name. Returns how many rows are looked at.

    Raises:
        ConfigurationError: there is no such table.
        DatabaseRefused: our role has no right to.
    """
    return await called(conn, "embedding/retry", {"source": source, "target": target, "key": key})
