"""Connections through a network that swallows what it is given."""

from __future__ import annotations

import asyncio
import time

import psycopg
import pytest

from cdc.store import workers
from cdc.store.connect import connect as open_connection
from cdc.store.connect import pool
from cdc.store.failures import ConnectionTrouble
from tests.proxy import Proxy
from tests.servers import Connect
from tests.store.state import State


async def test_a_statement_that_is_not_answered_ends_its_connection(database_url: str) -> None:
    async with (
        Proxy(database_url) as proxy,
        await open_connection(proxy.url, autocommit=True, answers_within=2) as conn,
    ):
        await conn.execute("select pg_sleep(0.2)")
        proxy.stall()
        with pytest.raises(ConnectionTrouble):
            await asyncio.wait_for(conn.execute("select 1"), 60)
        assert conn.closed


async def test_a_statement_of_a_pool_that_is_not_answered_ends_its_connection(database_url: str) -> None:
    async with Proxy(database_url) as proxy, pool(proxy.url, size=1, name="test", answers_within=2) as connections:

        async def ask() -> None:
            async with connections.connection() as conn:
                proxy.stall()
                await conn.execute("select 1")

        with pytest.raises(ConnectionTrouble):
            await asyncio.wait_for(ask(), 60)
        await proxy.forget()
        async with connections.connection() as conn:
            await conn.execute("select 1")


async def test_a_renewal_that_is_not_answered_ends_its_connection(state: State, migrated_url: str) -> None:
    async with Proxy(migrated_url) as proxy:
        conn = await asyncio.to_thread(workers.heartbeat_connection, proxy.url)
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
    async with Proxy(database_url) as proxy:
        conn = await open_connection(proxy.url, autocommit=True, answers_within=2)
        locked = asyncio.Event()

        async def lock() -> None:
            async with conn.transaction():
                await conn.execute("lock table things")
                proxy.stall()
                locked.set()
                await conn.execute("select 1")

        locking = asyncio.create_task(lock())
        await locked.wait()
        await asyncio.wait_for(other.execute("insert into things values (1)"), 60)
        with pytest.raises(ConnectionTrouble):
            await asyncio.wait_for(locking, 60)
