"""Workers and their leases."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import psycopg

from cdc.store import gates, inferences, runs
from cdc.store.bounded import TCP, answering
from cdc.store.connect import Connection
from cdc.store.queries import text

_DIED, _EXPIRED = 2, 1
"""How much a run is suspected when its worker's process died, and when its lease ran out, which the network, the
database or the whole machine may be to blame for.
"""

HeartbeatConnection = psycopg.Connection[tuple[Any, ...]]


async def register(conn: Connection, *, host: str, pid: int, functions: Sequence[str], lease: float) -> int:
    """A new worker's id; its lease runs `lease` seconds unless renewed."""
    parameters = {"host": host, "pid": pid, "functions": list(functions), "lease": lease}
    row = await (await conn.execute(text("workers/register"), parameters)).fetchone()
    assert row is not None
    return int(row[0])


def renew(conn: HeartbeatConnection, worker_id: int, lease: float, *, within: float | None = None) -> float | None:
    """Renew a lease from the heartbeat's own thread; the database's clock, or None when the lease is gone.

    Fails, and ends the connection, without an answer `within` seconds: a lease's length unless given.
    """
    with answering(conn, lease if within is None else within):
        row = conn.execute(text("workers/renew"), {"worker_id": worker_id, "lease": lease}).fetchone()
    return None if row is None else float(row[0])


async def leave(conn: Connection, worker_ids: Sequence[int], *, died: bool = False) -> int:
    """End these workers' leases, queue their runs again and give back their inferences; returns how many runs."""
    async with conn.transaction():
        await conn.execute(text("workers/leave"), {"worker_ids": list(worker_ids)})
        return await _release(conn, worker_ids, suspicion=_DIED if died else 0)


async def rescue(conn: Connection) -> tuple[list[int], int]:
    """End the leases that ran out, as if these workers had left; returns those workers and how many runs."""
    async with conn.transaction():
        expired = [row[0] for row in await (await conn.execute(text("workers/expire"))).fetchall()]
        return expired, await _release(conn, expired, suspicion=_EXPIRED) if expired else 0


async def stuck(conn: Connection, worker_ids: Sequence[int], *, seconds: float) -> list[int]:
    """Which of these workers did not hear, so many seconds ago, that a run of theirs was cancelled."""
    parameters = {"worker_ids": list(worker_ids), "seconds": seconds}
    return [row[0] for row in await (await conn.execute(text("workers/stuck"), parameters)).fetchall()]


async def release_unknown(conn: Connection, worker_id: int, known: Iterable[str]) -> int:
    """Queue again what this worker holds without knowing it; returns how many runs."""
    async with conn.transaction():
        return await _free(conn, await runs.release_unknown(conn, worker_id, known))


async def _release(conn: Connection, worker_ids: Sequence[int], *, suspicion: int) -> int:
    await inferences.release(conn, worker_ids)
    return await _free(conn, await runs.release(conn, worker_ids, suspicion=suspicion))


async def _free(conn: Connection, released: list[str]) -> int:
    if released:
        await gates.free(conn, released)
    return len(released)


def heartbeat_connection(url: str, *, within: int = 5) -> HeartbeatConnection:
    """A synchronous autocommit connection for the heartbeat's thread; there may be a transaction pooler between.

    Fails when it is not there `within` seconds.
    """
    session = {**TCP, "application_name": "cdc heartbeat", "connect_timeout": within, "prepare_threshold": None}
    return psycopg.connect(url, autocommit=True, **session)
