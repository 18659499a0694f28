"""The registry: functions are rows, so that every replica and the listener see the same."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import orjson

from cdc.errors import ConfigurationError
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

    Raises:
        ConfigurationError: an app has a function of the same id.
    """
    async with conn.transaction():
        await conn.execute(text("functions/lock_registry"))
        if of_app := await taken(conn, [definition["id"] for definition in definitions], None):
            id_, app = of_app
            raise ConfigurationError(
                f"The function {id_!r} is here, and one of the same id is of the app {app!r}.",
                hint=f"Give one of them another id, or remove that app: cdc apps remove {app}.",
            )
        changed = await write(conn, definitions, None)
        changed += (await conn.execute(text("functions/archive_orphans"))).rowcount
        if changed:
            await conn.execute(text("functions/raise_version"))
        return changed > 0


async def write(conn: Connection, definitions: Sequence[dict[str, Any]], app: str | None) -> int:
    """Write functions of an app, or of the service itself; how many that changed. The registry is locked."""
    changed = 0
    for definition in definitions:
        parameters = {"id": definition["id"], "app": app, "definition": orjson.dumps(definition).decode()}
        changed += (await conn.execute(text("functions/upsert"), parameters)).rowcount
    return changed


async def taken(conn: Connection, ids: Sequence[str], app: str | None) -> tuple[str, str | None] | None:
    """A function in force that has one of these ids and is not this app's, and whose it is. The registry is locked."""
    row = await (await conn.execute(text("functions/taken"), {"ids": list(ids), "app": app})).fetchone()
    return None if row is None else (row[0], row[1])
