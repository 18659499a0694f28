"""Connections through a network that swallows what it is given."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import psycopg
import pytest
from psycopg import AsyncConnection
from psycopg.pq import TransactionStatus

from cdc.store import workers
from cdc.store.connect import connect as open_connection
from cdc.store.connect import pool
from cdc.store.failures import ConnectionTrouble
from tests.proxy import Proxy
from tests.servers import Connect
from tests.store.state import State
from tests.waiting import eventually

LONG = 3600.0
"""Seconds that an answer may take: a machine that stands still for a while does not reach them, only `pass_by`."""


async def pass_by(conn: AsyncConnection[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """Once the connection waits for an answer, let so much time go by at once, for this event loop."""
    await eventually(lambda: conn.info.transaction_status == TransactionStatus.ACTIVE)
    loop = asyncio.get_running_loop()
    now = loop.time
    monkeypatch.setattr(loop, "time", lambda: now() + LONG)


async def test_a_statement_that_is_not_answered_ends_its_connection(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with (
        Proxy(database_url) as proxy,
        await open_connection(proxy.url, autocommit=True, answers_within=LONG) as conn,
    ):
        await conn.execute("select pg_sleep(0.2)")
        proxy.stall()
        asking = asyncio.create_task(conn.execute("select 1"))
        await pass_by(conn, monkeypatch)
        with pytest.raises(ConnectionTrouble):
            await asyncio.wait_for(asking, 60)
        assert conn.closed


async def test_a_statement_of_a_pool_that_is_not_answered_ends_its_connection(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with Proxy(database_url) as proxy, pool(proxy.url, size=1, name="test", answers_within=LONG) as connections:

        async def ask() -> None:
            async with connections.connection() as conn:
                proxy.stall()
                asking = asyncio.create_task(conn.execute("select 1"))
                await pass_by(conn, monkeypatch)
                await asking

        with pytest.raises(ConnectionTrouble):
            await asyncio.wait_for(ask(), 2 * LONG)
        await proxy.forget()
        async with connections.connection() as conn:
            await conn.execute("select 1")


async def test_a_renewal_that_is_not_answered_ends_its_connection(state: State, migrated_url: str) -> None:
    async with Proxy(migrated_url) as proxy:
        conn = await asyncio.to_thread(workers.heartbeat_connection, proxy.url, within=60)
        proxy.stall()
        began = time.monotonic()
        with pytest.raises(psycopg.OperationalError):
            await asyncio.to_thread(workers.renew, conn, 1, 15.0, within=0.5)
        assert 0.5 <= time.monotonic() - began < 60
        assert conn.closed


async def test_the_locks_of_a_client_that_fell_silent_in_a_transaction_are_let_go(
    database_url: str, connect: Connect
) -> None:
    other = await connect(database_url)
    await other.execute("create table things (id integer primary key)")
    conn = await open_connection(database_url, autocommit=True, answers_within=LONG, silent_for=2)
    async with conn:
        await conn.execute("begin; lock table things")
        await asyncio.wait_for(other.execute("insert into things values (1)"), 60)
        with pytest.raises(ConnectionTrouble):
            await conn.execute("select 1")
