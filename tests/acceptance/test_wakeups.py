"""Notifications between services: prompt, few, and nobody is woken by what it said itself."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from cdc.service import wakeups
from cdc.service.wakeups import APART, Wakeups
from cdc.store.connect import Connection, connect
from tests.servers import Connect
from tests.waiting import eventually


@pytest.fixture(autouse=True)
def _patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine that stands still for a while is not taken for a pooler."""
    monkeypatch.setattr(wakeups, "_TEST", 30.0)


class Woken:
    """A service's wake-ups, and how often they woke it since they began."""

    def __init__(self, url: str) -> None:
        self.times = 0
        self.wakeups = Wakeups(lambda: self._connect(url), self._wake)

    async def _connect(self, url: str) -> Connection:
        return await connect(url, autocommit=True, prepared=False)

    def _wake(self) -> None:
        self.times += 1


@asynccontextmanager
async def service(url: str) -> AsyncIterator[Woken]:
    woken = Woken(url)
    assert await woken.wakeups.test()
    parts = [asyncio.create_task(part()) for part in (woken.wakeups.tell_forever, woken.wakeups.hear_forever)]
    await eventually(lambda: woken.times == 1, what="it looks once when it begins to listen")
    woken.times = 0
    try:
        yield woken
    finally:
        for part in parts:
            part.cancel()
        await asyncio.wait(parts)
        await woken.wakeups.close()


async def woken(times: int, *services: Woken) -> None:
    """Wait until each was woken so often."""
    await eventually(lambda: all(service.times == times for service in services), what=f"{times} times")


async def test_one_service_wakes_the_others_and_not_itself(database_url: str) -> None:
    async with service(database_url) as one, service(database_url) as other, service(database_url) as third:
        for times in (1, 2, 3):
            one.wakeups.due()
            await woken(times, other, third)
            assert one.times == 0
        other.wakeups.due()
        await woken(1, one)
        await woken(4, third)
        assert other.times == 3


async def test_what_is_due_at_once_is_told_together(database_url: str) -> None:
    async with service(database_url) as one, service(database_url) as other:
        clock = asyncio.get_running_loop().time
        began = clock()
        for _ in range(2000):
            one.wakeups.due()
            await asyncio.sleep(0)
        one.wakeups.due()
        await eventually(lambda: other.times > 0)
        await eventually(lambda: not one.wakeups._due.is_set())
        assert other.times <= (clock() - began) / APART + 1


async def test_it_listens_again_after_its_connection_was_cut(database_url: str, connect: Connect) -> None:
    conn = await connect(database_url)
    async with service(database_url) as one:
        await conn.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity"
            " where query ilike 'listen%' and pid <> pg_backend_pid()"
        )
        await eventually(lambda: one.times == 1, what="it looks for what it may have missed")
        await conn.execute("notify cdc, 'cancelled'")
        await eventually(lambda: one.times == 2)
