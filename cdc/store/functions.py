"""The registry: functions are rows, so that every replica and the listener see the same."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import orjson

from cdc.store.connect import Connection
from cdc.store.queries import text


async def registered(conn: Connection) -> tuple[int, list[dict[str, Any]]]:
    """The registry's version and the definitions in force."""
    rows = await (await conn.execute(text("functions/registered"))).fetchall()
    return rows[0][0], [{**definition, "paused": paused} for _, id_, definition, paused in rows if id_ is not None]


async def version(conn: Connection) -> int:
    """The registry's version."""
    row = await (await conn.execute(text("functions/version"))).fetchone()
    assert row is not None
    return int(row[0])


async def register(conn: Connection, definitions: Sequence[dict[str, Any]]) -> bool:
    """Bring the registry in line with these functions and the live workers; True when that changed it.

    Call it after the worker that has them is registered: functions that no live worker has are archived.
    """
    async with conn.transaction():
        await conn.execute(text("functions/lock_registry"))
        changed = 0
        for definition in definitions:
            parameters = {"id": definition["id"], "definition": orjson.dumps(definition).decode()}
            changed += (await conn.execute(text("functions/upsert"), parameters)).rowcount
        changed += (await conn.execute(text("functions/archive_orphans"))).rowcount
        if changed:
            await conn.execute(text("functions/raise_version"))
        return changed > 0
