"""The journal's one statement."""

from __future__ import annotations

from typing import Any

import orjson
from psycopg import AsyncConnection

from cdc.store.queries import text

Connection = AsyncConnection[tuple[Any, ...]]


async def write(conn: Connection, worker_id: int, steps: list[dict[str, Any]], runs: list[dict[str, Any]]) -> bool:
    """Record steps and move runs in one commit; False, and nothing written, when the worker's lease is gone."""
    parameters = {
        "worker_id": worker_id,
        "steps": orjson.dumps(steps).decode(),
        "runs": orjson.dumps(runs).decode(),
    }
    return await (await conn.execute(text("journal/write"), parameters)).fetchone() is not None
