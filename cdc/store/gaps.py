"""Windows in which changes were lost, one for each incarnation of a source that could not go on."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

from cdc import lsn
from cdc.lsn import Lsn
from cdc.store.connect import Connection
from cdc.store.queries import text

_LATEST = 20
"""As many are shown; more than a person reads."""


class Gap(NamedTuple):
    """Changes committed after `from_lsn` and before `to_lsn` have no events. No end: the next start will be it.

    `from_at` is when the checkpoint last moved; a listener that was behind by then lost as much more before it.
    """

    source: str
    from_lsn: str
    from_at: datetime
    to_lsn: str | None
    to_at: datetime | None
    reason: str


async def close(conn: Connection, source: str, at: Lsn) -> Gap | None:
    """End the open gap of a source, within the caller's transaction; it, if there was one."""
    row = await (await conn.execute(text("gaps/close"), {"source": source, "lsn": lsn.render(at)})).fetchone()
    return None if row is None else Gap(*row)


async def listed(conn: Connection) -> list[Gap]:
    """The latest gaps of all sources, latest first."""
    rows = await (await conn.execute(text("gaps/listed"), {"limit": _LATEST})).fetchall()
    return [Gap(*row) for row in rows]
