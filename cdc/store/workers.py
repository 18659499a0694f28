"""Workers and their leases."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import psycopg

from cdc.store import runs
from cdc.store.connect import Connection
from cdc.store.queries import text

HeartbeatConnection = psycopg.Connection[tuple[Any, ...]]


async def register(conn: Connection, *, host: str, pid: int, functions: Sequence[str], lease: float) -> int:
    """A new worker's id; its lease runs `lease` seconds unless renewed."""
    parameters = {"host": host, "pid": pid, "functions": list(functions), "lease": lease}
    row = await (await conn.execute(text("workers/register"), parameters)).fetchone()
    assert row is not None
    return int(row[0])


def renew(conn: HeartbeatConnection, worker_id: int, lease: float) -> bool:
    """Renew a lease from the heartbeat's own thread; False when it is gone."""
    return conn.execute(text("workers/renew"), {"worker_id": worker_id, "lease": lease}).fetchone() is not None


async def leave(conn: Connection, worker_ids: Sequence[int]) -> int:
    """End these workers' leases and queue their runs again; returns how many runs."""
    async with conn.transaction():
        await conn.execute(text("workers/leave"), {"worker_ids": list(worker_ids)})
        return await runs.release(conn, worker_ids)


async def rescue(conn: Connection) -> tuple[list[int], int]:
    """End the leases that ran out and queue their runs again; returns those workers and how many runs."""
    async with conn.transaction():
        expired = [row[0] for row in await (await conn.execute(text("workers/expire"))).fetchall()]
        return expired, await runs.release(conn, expired) if expired else 0


def heartbeat_connection(url: str) -> HeartbeatConnection:
    """A synchronous autocommit connection for the heartbeat's thread; there may be a transaction pooler between."""
    return psycopg.connect(
        url, autocommit=True, application_name="cdc heartbeat", connect_timeout=5, prepare_threshold=None
    )
